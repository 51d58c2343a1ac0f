/** Pan and zoom of the drawing: by hand with d3, and by itself so that what is chosen stays in sight. */

import { select } from "d3-selection";
import { zoom, zoomIdentity, zoomTransform, type ZoomBehavior } from "d3-zoom";
import type { RefObject } from "preact";
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { firstView, revealing, type Layout, type Size, type View } from "./layout";
import { isLarge, serves, windowOf, type Window } from "./window";

type Frame = HTMLDivElement;

export interface Camera {
  frame: RefObject<Frame | null>;
  drawing: RefObject<HTMLDivElement | null>;
  heads: RefObject<HTMLDivElement | null>;
  fit(): void;
  zoomBy(factor: number): void;
  reveal(id: string): void;
  /** what of the drawing is to be drawn; null: all of it */
  drawn: Window | null;
}

export function useCamera(plan: Layout, selected: string | null): Camera {
  const frame = useRef<Frame>(null);
  const drawing = useRef<HTMLDivElement>(null);
  const heads = useRef<HTMLDivElement>(null);
  const kept = useRef(selected);
  kept.current = selected;
  const [drawn, setDrawn] = useState<Window | null>(null);

  const camera = useMemo(() => {
    const behaviour: ZoomBehavior<Frame, unknown> = zoom<Frame, unknown>().scaleExtent([0.08, 3]);
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
      fit: () => show(firstView(plan, size(), 0.08)),
      zoomBy: (factor: number) => select(frame.current!).call(behaviour.scaleBy, factor),
      reveal,
    };
  }, [plan]);

  useEffect(() => {
    const box = frame.current!;
    let near: Window | null = null;
    const follow = (view: View) => {
      const screen = { width: box.clientWidth, height: box.clientHeight };
      if (near && serves(near, windowOf(view, screen, 0))) return;
      near = windowOf(view, screen);
      setDrawn(near);
    };
    let moved = false; // by hand: then a change of size must not undo it
    camera.behaviour.on("zoom", ({ transform, sourceEvent }) => {
      moved ||= Boolean(sourceEvent);
      const { x, y, k } = transform;
      drawing.current!.style.transform = `translate(${x}px,${y}px) scale(${k})`;
      heads.current!.style.setProperty("--x", String(x));
      heads.current!.style.setProperty("--k", String(k));
      if (isLarge(plan)) follow({ k, left: x, top: y });
    });
    // a layer of its own while it moves is not painted anew; kept on, it would be blurred when larger
    const lift = (moving: boolean) => () => drawing.current!.classList.toggle("moving", moving);
    camera.behaviour.on("start", lift(true)).on("end", lift(false));
    select(box).call(camera.behaviour).on("dblclick.zoom", null);
    const settle = () => {
      if (!moved) camera.first();
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

  return { frame, drawing, heads, drawn: isLarge(plan) ? drawn : null, ...camera };
}
