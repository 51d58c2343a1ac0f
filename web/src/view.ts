/** Pan and zoom of the drawing: by hand with d3, and by itself so that what is chosen stays in sight. */

import { select } from "d3-selection";
import { zoom, zoomIdentity, zoomTransform, type ZoomBehavior } from "d3-zoom";
import type { RefObject } from "preact";
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { firstView, revealing, type Layout, type Place, type Size, type View } from "./layout";
import { SCALES, type Place as At } from "./state";
import { isLarge, serves, sharp, windowOf, type Window } from "./window";

type Frame = HTMLDivElement;

export interface Camera {
  frame: RefObject<Frame | null>;
  drawing: RefObject<HTMLDivElement | null>;
  heads: RefObject<HTMLDivElement | null>;
  fit(): void;
  zoomBy(factor: number): void;
  /** by shares of the view */
  panBy(across: number, down: number): void;
  reveal(id: string): void;
  /** puts a point of the drawing into the middle */
  go(place: Place): void;
  /** the part of the drawing that is in view */
  part(): Window;
  /** the frame on the minimap around that part */
  inView: RefObject<SVGRectElement | null>;
  /** what of the drawing is to be drawn; null: all of it */
  drawn: Window | null;
}

/**
 * @param at where to begin; null: with what matters most
 * @param onRest told where the view has come to rest
 */
export function useCamera(plan: Layout, selected: string | null, at: At | null, onRest: (at: At | null) => void): Camera {
  const frame = useRef<Frame>(null);
  const drawing = useRef<HTMLDivElement>(null);
  const heads = useRef<HTMLDivElement>(null);
  const inView = useRef<SVGRectElement>(null);
  const begin = useRef(at);
  const moved = useRef(at !== null); // by hand: then a change of size must not undo it
  const rest = useRef(onRest);
  rest.current = onRest;
  const kept = useRef(selected);
  kept.current = selected;
  const [drawn, setDrawn] = useState<Window | null>(null);

  const camera = useMemo(() => {
    const behaviour: ZoomBehavior<Frame, unknown> = zoom<Frame, unknown>().scaleExtent(SCALES);
    const size = (): Size => ({ width: frame.current!.clientWidth, height: frame.current!.clientHeight });
    const show = ({ k, left, top }: View) =>
      select(frame.current!).call(behaviour.transform, zoomIdentity.translate(left, top).scale(k));
    const reveal = (id: string) => {
      const place = plan.places.get(id);
      if (!place || !frame.current) return;
      const { k, x, y } = zoomTransform(frame.current);
      const now = { k, left: x, top: y };
      const next = revealing(now, place, plan.card, size());
      if (next.left !== now.left || next.top !== now.top) show(next);
    };
    return {
      behaviour,
      first: () => show(firstView(plan, size())),
      begin: ({ x, y, k }: At) => {
        const { width, height } = size();
        show({ k, left: width / 2 - k * x, top: height / 2 - k * y });
      },
      go: ({ x, y }: Place) => {
        moved.current = true;
        select(frame.current!).call(behaviour.translateTo, x, y);
      },
      part: () => {
        const { k, x, y } = zoomTransform(frame.current!);
        return windowOf({ k, left: x, top: y }, size(), 0);
      },
      fit: () => {
        moved.current = true;
        show(firstView(plan, size(), 0.08));
      },
      zoomBy: (factor: number) => {
        moved.current = true;
        select(frame.current!).call(behaviour.scaleBy, factor);
      },
      panBy: (across: number, down: number) => {
        moved.current = true;
        const { k } = zoomTransform(frame.current!);
        select(frame.current!).call(behaviour.translateBy, (-across * size().width) / k, (-down * size().height) / k);
      },
      reveal,
    };
  }, [plan]);

  useEffect(() => {
    const box = frame.current!;
    let near: Window | null = null;
    const follow = (view: View, settled: boolean) => {
      if (!isLarge(plan)) return;
      const screen = { width: box.clientWidth, height: box.clientHeight };
      if (near && serves(near, windowOf(view, screen, 0)) && (!settled || sharp(near, view))) return;
      near = windowOf(view, screen);
      setDrawn(near);
    };
    const frameOnMap = () => {
      const { left, top, right, bottom } = camera.part();
      const corners = { x: left, y: top, width: right - left, height: bottom - top };
      for (const [name, value] of Object.entries(corners)) inView.current?.setAttribute(name, String(value));
    };
    camera.behaviour.on("zoom", ({ transform, sourceEvent }) => {
      moved.current ||= Boolean(sourceEvent);
      const { x, y, k } = transform;
      drawing.current!.style.transform = `translate(${x}px,${y}px) scale(${k})`;
      heads.current!.style.setProperty("--x", String(x));
      heads.current!.style.setProperty("--k", String(k));
      frameOnMap();
      follow({ k, left: x, top: y }, !sourceEvent);
    });
    // a layer of its own while it moves is not painted anew; kept on, it would be blurred when larger
    const lift = (moving: boolean) => () => drawing.current!.classList.toggle("moving", moving);
    camera.behaviour.on("start", lift(true)).on("end", ({ transform: { x, y, k } }) => {
      lift(false)();
      follow({ k, left: x, top: y }, true);
      const [middleX, middleY] = [(box.clientWidth / 2 - x) / k, (box.clientHeight / 2 - y) / k];
      rest.current(moved.current ? { x: middleX, y: middleY, k } : null);
    });
    select(box).call(camera.behaviour).on("dblclick.zoom", null);
    const settle = () => {
      if (begin.current) camera.begin(begin.current);
      else if (!moved.current) camera.first();
      begin.current = null;
      if (kept.current) camera.reveal(kept.current);
    };
    const observer = new ResizeObserver(settle);
    observer.observe(box);
    settle();
    return () => observer.disconnect();
  }, [camera]);

  useEffect(() => {
    if (selected) camera.reveal(selected);
  }, [camera, selected]);

  return { frame, drawing, heads, inView, drawn: isLarge(plan) ? drawn : null, ...camera };
}
