/** Buttons in the corner of a view that can be zoomed. */

import type { ComponentChildren } from "preact";

interface ZoomButtonsProps {
  /** what is zoomed, for the names of the buttons */
  what: string;
  step: number;
  zoomBy: (factor: number) => void;
  fit: () => void;
  children?: ComponentChildren;
}

export function ZoomButtons({ what, step, zoomBy, fit, children }: ZoomButtonsProps) {
  return (
    <div class="zoom" onClick={(event) => event.stopPropagation()}>
      <button onClick={() => zoomBy(step)} aria-label="Zoom in" title="Zoom in (+)">
        +
      </button>
      <button onClick={() => zoomBy(1 / step)} aria-label="Zoom out" title="Zoom out (−)">
        −
      </button>
      <button onClick={fit} aria-label={`Fit the whole ${what}`} title={`Fit the whole ${what} (0)`}>
        ⤢
      </button>
      {children}
    </div>
  );
}
