/**
 * Stands in for d3-transition and d3-interpolate, which d3-zoom imports: the camera moves at once, without transitions.
 *
 * Left out with them are d3-timer, d3-ease and d3-color, 30 kB of every page.
 */

import { selection } from "d3-selection";

interface Interrupted {
  interrupt(): unknown;
}

(selection.prototype as unknown as Interrupted).interrupt = function interrupt() {
  return this;
};

export const interrupt = (): void => {};

/** From one view to another in no time. */
export const interpolateZoom = (_: unknown, end: unknown) => (): unknown => end;
