/** The camera of the drawing: moved by hand, and by itself so that the selected card stays in sight. */

import type { RefObject } from "preact";
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { type Size, useZoom, type View } from "../shared/camera";
import { firstView, framing, type Layout, type Place, revealing } from "./layout";
import { type Place as At, SCALES } from "./state";
import { isLarge, LEFT, serves, sharp, type Window, windowOf } from "./window";

export interface Camera {
  frame: RefObject<HTMLDivElement | null>;
  drawing: RefObject<HTMLDivElement | null>;
  /** the painted edges of a large circuit, below the drawing */
  sheet: RefObject<HTMLDivElement | null>;
  heads: RefObject<HTMLDivElement | null>;
  fit(): void;
  zoomBy(factor: number): void;
  /** Pans by shares of the view. */
  panBy(across: number, down: number): void;
  reveal(id: string): void;
  /** Puts a point of the drawing into the middle. */
  go(place: Place): void;
  /** The part of the drawing that is in view. */
  part(): Window;
  /** The point of the drawing under the pointer. */
  placeOf(event: MouseEvent): Place;
  /** the frame on the minimap around that part */
  inView: RefObject<HTMLDivElement | null>;
  /** the part of the drawing that has to be drawn; null: all of it */
  drawn: Window | null;
}

/** Time for the first paint, in milliseconds. */
const OPENING = 100;

/**
 * @param path groups of the path that is shown, all of which are brought into sight
 * @param at where to begin; null: with what matters most
 * @param onRest called with the view once it has come to rest
 */
export function useCamera(
  plan: Layout,
  selected: string | null,
  path: string[] | null,
  at: At | null,
  onRest: (at: At | null) => void,
): Camera {
  const frame = useRef<HTMLDivElement>(null);
  const drawing = useRef<HTMLDivElement>(null);
  const sheet = useRef<HTMLDivElement>(null);
  const heads = useRef<HTMLDivElement>(null);
  const inView = useRef<HTMLDivElement>(null);
  const moved = useRef(at !== null); // by hand: a change of size must not undo it
  const size = useRef<string | null>(null);
  const near = useRef<Window | null>(null);
  const [drawn, setDrawn] = useState<Window | null>(null);
  const opening = useRef(true); // only what is in view is drawn before the first paint

  const follow = (view: View, settled: boolean) => {
    if (!isLarge(plan)) return;
    const screen = zoom.size();
    const [left, spare] = opening.current ? [0, 0] : [LEFT, undefined];
    if (near.current && serves(near.current, windowOf(view, screen, left)) && (!settled || sharp(near.current, view)))
      return;
    near.current = windowOf(view, screen, spare);
    setDrawn(near.current);
  };
  const lift = (moving: boolean) => {
    for (const { current } of [drawing, sheet, heads]) current?.classList.toggle("moving", moving);
  };
  const zoom = useZoom(frame, SCALES, {
    // as layers of their own, drawing and heads are not painted again while they move; kept on, they would be blurred
    onStart: () => lift(true),
    onMove: (view, byHand) => {
      moved.current ||= byHand;
      const [x, y] = [wholePixels(view.x), wholePixels(view.y)];
      drawing.current!.style.transform = `translate(${x}px,${y}px) scale(${view.k})`;
      heads.current!.style.transform = `translate(${x}px)`;
      heads.current!.style.setProperty("--k", String(view.k));
      if (sheet.current) {
        sheet.current.style.translate = `${x}px ${y}px`;
        sheet.current.style.setProperty("--k", String(view.k));
      }
      if (inView.current) frameOnMap(inView.current, windowOf(view, zoom.size(), 0), plan);
      follow(view, !byHand);
    },
    onEnd: (view) => {
      lift(false);
      follow(view, true);
      const { width, height } = zoom.size();
      const centre = { x: (width / 2 - view.x) / view.k, y: (height / 2 - view.y) / view.k, k: view.k };
      onRest(moved.current ? centre : null);
    },
    onSize: ({ width, height }) => {
      const changed = size.current !== null && size.current !== `${width} ${height}`;
      size.current = `${width} ${height}`;
      for (const [name, pixels] of Object.entries({ "--w": width, "--h": height }))
        frame.current!.style.setProperty(name, String(pixels)); // the size on paper
      if (changed) settle();
    },
  });

  const reveal = (id: string) => {
    const place = plan.places.get(id);
    if (!place || !frame.current) return;
    const now = zoom.view();
    const next = revealing(now, place, plan, zoom.size());
    if (next.x !== now.x || next.y !== now.y) zoom.show(next);
  };
  const settle = () => {
    if (!moved.current) zoom.show(firstView(plan, zoom.size()));
    if (selected) reveal(selected);
  };
  const begun = useRef(false);
  useEffect(() => {
    near.current = null;
    if (at && !begun.current) zoom.show(around(at, zoom.size()));
    else settle();
    begun.current = true;
    follow(zoom.view(), true); // a new plan is drawn even where the view stays
    const timer = setTimeout(() => {
      opening.current = false;
      follow(zoom.view(), true);
    }, OPENING);
    return () => clearTimeout(timer);
  }, [plan]);
  const shown = useRef(at ? selected : null); // a view from the address is kept, whatever it shows
  useEffect(() => {
    if (selected && selected !== shown.current) reveal(selected);
    shown.current = selected;
  }, [plan, selected]);
  const framed = useRef(at !== null);
  const ids = path?.join() ?? "";
  useEffect(() => {
    if (path && !framed.current) {
      const places = path.map((id) => plan.places.get(id)!);
      zoom.show(framing(zoom.view(), places, plan.card, zoom.size()));
    }
    framed.current = false;
  }, [plan, ids]);

  const latest = useRef({ reveal, plan });
  latest.current = { reveal, plan };
  const moves = useMemo(() => {
    const byHand = (move: () => void) => {
      moved.current = true;
      move();
    };
    return {
      fit: () => byHand(() => zoom.show(firstView(latest.current.plan, zoom.size(), SCALES[0]))),
      zoomBy: (factor: number) => byHand(() => zoom.zoomBy(factor)),
      panBy: (across: number, down: number) =>
        byHand(() => zoom.panBy(-across * zoom.size().width, -down * zoom.size().height)),
      go: ({ x, y }: Place) => byHand(() => zoom.centre(x, y)),
      part: () => windowOf(zoom.view(), zoom.size(), 0),
      placeOf: ({ clientX, clientY }: MouseEvent) => {
        const { left, top } = frame.current!.getBoundingClientRect();
        const { k, x, y } = zoom.view();
        return { x: (clientX - left - x) / k, y: (clientY - top - y) / k };
      },
      reveal: (id: string) => latest.current.reveal(id),
    };
  }, [zoom]);
  return { frame, drawing, sheet, heads, inView, drawn: isLarge(plan) ? drawn : null, ...moves };
}

/** On whole pixels of the screen pictures need not be resampled, and text is sharp. */
const wholePixels = (place: number): number => Math.round(place * devicePixelRatio) / devicePixelRatio;

/** The view with a point of the drawing in the middle. */
const around = ({ x, y, k }: At, { width, height }: Size): View => ({ k, x: width / 2 - k * x, y: height / 2 - k * y });

/** Moves the frame by a transform alone, which needs no layout. */
function frameOnMap(frame: HTMLElement, { left, top, right, bottom }: Window, plan: Size): void {
  const map = frame.parentElement!;
  const [across, down] = [map.clientWidth / plan.width, map.clientHeight / plan.height];
  frame.style.width = `${(right - left) * across}px`;
  frame.style.height = `${(bottom - top) * down}px`;
  frame.style.transform = `translate(${left * across}px, ${top * down}px)`;
}
