/** Pan and zoom of an element: drag, scroll, pinch, and by call. */

import type { RefObject } from "preact";
import { useEffect, useMemo, useRef } from "preact/hooks";

interface Point {
  x: number;
  y: number;
}

/** Pixels that a click may travel; beyond, it is a drag. */
const SLOP = 3;
/** Pause after which scrolling has ended, in milliseconds. */
const PAUSE = 150;
/** Pixels of a line and of a page, the other units of a wheel. */
const UNITS = [1, 25, 500];
/** Exponents of 2 by which a pixel of the wheel zooms, and one of a touch pad. */
const [ZOOMED, PINCHED] = [0.002, 0.02];

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
  const lens = useMemo(() => makeLens(scales, latest), []);
  useEffect(() => {
    const box = frame.current!;
    const ended = new AbortController();
    scroll(lens, box, ended.signal);
    drag(lens, box, ended.signal);
    const observer = new ResizeObserver(() => {
      if (box.isConnected) latest.current.onSize?.(sizeOf(box)); // a view that is left shrinks to nothing
    });
    observer.observe(box);
    latest.current.onSize?.(sizeOf(box));
    return () => {
      ended.abort();
      observer.disconnect();
    };
  }, [lens]);
  return useMemo(() => {
    const size = () => sizeOf(frame.current!);
    const show = (view: View) => {
      lens.start();
      lens.move(view, false);
      lens.end();
    };
    const by = (across: number, down: number) => {
      const { k, x, y } = lens.view;
      show({ k, x: x + across, y: y + down });
    };
    return {
      view: () => lens.view,
      size,
      show,
      zoomBy: (factor) => show(lens.zoomed(factor, { x: size().width / 2, y: size().height / 2 })),
      panBy: by,
      centre: (x, y) => {
        const { view } = lens;
        by(size().width / 2 - view.k * x - view.x, size().height / 2 - view.k * y - view.y);
      },
    };
  }, [lens]);
}

/** What calls and hands move. */
interface Lens {
  view: View;
  start(): void;
  move(view: View, byHand: boolean): void;
  end(): void;
  /** Returns the view in which the point that is seen at `from` is seen at `to`. */
  zoomed(factor: number, from: Point, to?: Point): View;
}

function makeLens([least, most]: [number, number], events: { current: CameraEvents }): Lens {
  const lens: Lens = {
    view: { k: 1, x: 0, y: 0 },
    start: () => events.current.onStart?.(),
    move: (view, byHand) => {
      lens.view = view;
      events.current.onMove(view, byHand);
    },
    end: () => events.current.onEnd?.(lens.view),
    zoomed: (factor, from, to = from) => {
      const { k, x, y } = lens.view;
      const next = Math.min(Math.max(k * factor, least), most);
      return { k: next, x: to.x - ((from.x - x) * next) / k, y: to.y - ((from.y - y) * next) / k };
    },
  };
  return lens;
}

/** Zooms by the wheel and by a pinch on a touch pad, and pans by scrolling to the side. */
function scroll(lens: Lens, box: Element, signal: AbortSignal): void {
  let timer: ReturnType<typeof setTimeout> | null = null;
  const onWheel = (event: WheelEvent) => {
    const { deltaX, deltaY, deltaMode, ctrlKey } = event;
    const { view } = lens;
    const unit = UNITS[deltaMode]!;
    const next =
      Math.abs(deltaX) > Math.abs(deltaY)
        ? { ...view, x: view.x - deltaX * unit }
        : lens.zoomed(2 ** (-deltaY * unit * (ctrlKey ? PINCHED : ZOOMED)), placeIn(box, event));
    if (next.k === view.k && next.x === view.x) return; // at the end of the scale the page scrolls
    event.preventDefault();
    if (timer) clearTimeout(timer);
    else lens.start();
    timer = setTimeout(() => {
      timer = null;
      lens.end();
    }, PAUSE);
    lens.move(next, true);
  };
  box.addEventListener("wheel", onWheel as EventListener, { signal, passive: false });
}

/** Pans by a drag with the mouse or a finger, and zooms by a pinch with two. */
function drag(lens: Lens, box: Element, signal: AbortSignal): void {
  const held = new Map<number, Point>(); // where mouse or fingers are
  let travelled = 0;
  const onDown = (event: PointerEvent) => {
    if (event.button || (event.ctrlKey && event.pointerType === "mouse") || held.size > 1) return;
    if (!held.size) {
      travelled = 0;
      lens.start();
    }
    held.set(event.pointerId, placeIn(box, event));
  };
  const onUp = ({ pointerId }: PointerEvent) => {
    if (!held.delete(pointerId) || held.size) return;
    lens.end();
    setTimeout(() => {
      travelled = 0; // the click that belongs to the drag has come by now
    });
  };
  const onMove = (event: PointerEvent) => {
    if (!held.has(event.pointerId)) return;
    if (!event.buttons) return onUp(event); // let go where the page could not see it
    const [from, before] = span(held);
    held.set(event.pointerId, placeIn(box, event));
    const [to, now] = span(held);
    travelled += Math.hypot(to.x - from.x, to.y - from.y) + Math.abs(now - before);
    if (travelled > SLOP) lens.move(lens.zoomed(now / before, from, to), true);
  };
  const onClick = (event: Event) => {
    if (travelled > SLOP) event.stopPropagation();
  };
  box.addEventListener("pointerdown", onDown as EventListener, { signal });
  box.addEventListener("click", onClick, { signal, capture: true });
  for (const begun of ["dragstart", "selectstart"])
    box.addEventListener(begun, (event) => event.preventDefault(), { signal });
  // a drag goes on outside
  addEventListener("pointermove", onMove, { signal });
  addEventListener("pointerup", onUp, { signal });
  addEventListener("pointercancel", onUp, { signal });
}

/** Returns the middle of one or two points and their distance, 1 for a single point. */
function span(held: Map<number, Point>): [Point, number] {
  const [a, b] = [...held.values()];
  if (!b) return [a!, 1];
  return [{ x: (a!.x + b.x) / 2, y: (a!.y + b.y) / 2 }, Math.hypot(a!.x - b.x, a!.y - b.y) || 1];
}

function placeIn(box: Element, { clientX, clientY }: MouseEvent): Point {
  const { left, top } = box.getBoundingClientRect();
  return { x: clientX - left, y: clientY - top };
}

const sizeOf = ({ clientWidth: width, clientHeight: height }: Element): Size => ({ width, height });
