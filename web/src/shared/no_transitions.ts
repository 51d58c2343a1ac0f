/**
 * Stands in for d3-transition, which d3-zoom imports: the camera moves at once, without transitions.
 *
 * Left out with it are d3-timer, d3-ease, d3-color and most of d3-interpolate, 30 kB of every page.
 */

import { selection } from "d3-selection";

interface Interrupted {
  interrupt(): unknown;
}

(selection.prototype as unknown as Interrupted).interrupt = function interrupt() {
  return this;
};

export const interrupt = (): void => {};
