/** Pan and zoom of an element with d3: drag, scroll, pinch, and by call. */

import { select } from "d3-selection";
import { type ZoomBehavior, zoom, zoomIdentity, zoomTransform } from "d3-zoom";
import type { RefObject } from "preact";
import { useEffect, useMemo, useRef } from "preact/hooks";

export interface Size {
  width: number;
  height: number;
}

/** A point p of the drawing is seen at `k * p + (x, y)`. */
export interface View {
  k: number;
  x: number;
  y: number;
}

/** What the owner of a camera does when it moves. All are optional but `onMove`. */
export interface CameraEvents {
  onStart?(): void;
  /** @param byHand whether the reader moved it, and not the program */
  onMove(view: View, byHand: boolean): void;
  onEnd?(view: View): void;
  /** called once at the beginning, and whenever the element changes its size */
  onSize?(size: Size): void;
}

export interface Zoom {
  view(): View;
  size(): Size;
  show(view: View): void;
  zoomBy(factor: number): void;
  /** Pans by pixels of the screen. */
  panBy(across: number, down: number): void;
  /** Puts a point of the drawing into the middle. */
  centre(x: number, y: number): void;
}

export function useZoom<E extends Element>(
  frame: RefObject<E | null>,
  scales: [number, number],
  events: CameraEvents,
): Zoom {
  const latest = useRef(events);
  latest.current = events;
  const behaviour = useMemo<ZoomBehavior<E, unknown>>(() => zoom<E, unknown>().scaleExtent(scales), []);
  const camera = useMemo<Zoom>(() => {
    const element = () => select(frame.current!);
    return {
      view: () => viewOf(zoomTransform(frame.current!)),
      size: () => sizeOf(frame.current!),
      show: ({ k, x, y }) => element().call(behaviour.transform, zoomIdentity.translate(x, y).scale(k)),
      zoomBy: (factor) => element().call(behaviour.scaleBy, factor),
      panBy: (across, down) => {
        const { k } = zoomTransform(frame.current!);
        element().call(behaviour.translateBy, across / k, down / k);
      },
      centre: (x, y) => element().call(behaviour.translateTo, x, y),
    };
  }, [behaviour]);
  useEffect(() => {
    const box = frame.current!;
    behaviour
      .on("start", () => latest.current.onStart?.())
      .on("zoom", ({ transform, sourceEvent }) => latest.current.onMove(viewOf(transform), Boolean(sourceEvent)))
      .on("end", ({ transform }) => latest.current.onEnd?.(viewOf(transform)));
    select(box).call(behaviour).on("dblclick.zoom", null);
    const observer = new ResizeObserver(() => {
      if (box.isConnected) latest.current.onSize?.(sizeOf(box)); // a view that is left shrinks to nothing
    });
    observer.observe(box);
    latest.current.onSize?.(sizeOf(box));
    return () => observer.disconnect();
  }, [behaviour]);
  return camera;
}

const viewOf = ({ k, x, y }: View): View => ({ k, x, y });
const sizeOf = ({ clientWidth: width, clientHeight: height }: Element): Size => ({ width, height });
