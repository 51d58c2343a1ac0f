/**
 * The edges of a large circuit, painted on one canvas: thousands of elements would be slow to move. Where
 * cards are too small to be read, they are boxes on it as well.
 *
 * The canvas covers the window (what is in view and some more), so that it is painted again only when
 * the view leaves it; until then it moves with the drawing. Painting thousands of edges takes longer than
 * a frame, so a window that moves on is painted beside the canvas, some edges in each frame.
 */

import { useEffect, useLayoutEffect, useRef } from "preact/hooks";
import { box } from "../shared/box";
import { useTheme } from "../shared/theme";
import type { EdgeData } from "../shared/types";
import { unsure } from "./circuit";
import { ends, type Layout, thickness } from "./layout";
import { covers, holds, passes, type Window } from "./window";

interface CanvasProps {
  plan: Layout;
  shown: EdgeData[];
  largest: number;
  drawn: Window | null;
}

/** Edges painted in one frame of a drawing that moves. */
const IN_A_FRAME = 150;
/** Browsers give up on larger canvases. */
const LARGEST_SIDE = 4096;
/** Dashes of thinner lines take longest to paint, and are too small to be seen among thousands of edges. */
const DASHED = 4;
/** Widths told apart, so that edges alike are one stroke. */
const WIDTHS = 6;

export function Canvas({ plan, shown, largest, drawn }: CanvasProps) {
  const host = useRef<HTMLDivElement>(null);
  const theme = useTheme();
  const painted = useRef<{ contents: unknown[]; window: Window } | null>(null);
  const frame = useRef(0);
  useLayoutEffect(() => {
    if (!drawn) return;
    const contents = [plan, shown, largest, theme];
    const moved = painted.current && contents.every((each, i) => each === painted.current!.contents[i]);
    if (moved && covers(painted.current!.window, drawn)) return;
    painted.current = { contents, window: drawn };
    cancelAnimationFrame(frame.current);
    const canvas = document.createElement("canvas");
    const steps = painting(canvas, getComputedStyle(host.current!), plan, shown, largest, drawn);
    const go = () => {
      if (!steps.next().done) return true;
      host.current!.replaceChildren(canvas);
      return false;
    };
    const later = () => {
      if (go()) frame.current = requestAnimationFrame(later);
    };
    if (moved) later();
    else while (go());
  }, [plan, shown, largest, drawn, theme]);
  useEffect(() => () => cancelAnimationFrame(frame.current), []);
  return <div ref={host} aria-hidden="true" data-edges={shown.length} />;
}

/** Paints a window step by step; each step is short. */
function* painting(
  canvas: HTMLCanvasElement,
  colours: CSSStyleDeclaration,
  plan: Layout,
  shown: EdgeData[],
  largest: number,
  drawn: Window,
) {
  const [width, height] = [drawn.right - drawn.left, drawn.bottom - drawn.top];
  canvas.className = "edges all";
  Object.assign(canvas.style, box({ left: drawn.left, top: drawn.top, width, height }));
  const scale = Math.min(drawn.k * devicePixelRatio, LARGEST_SIDE / Math.max(width, height));
  canvas.width = Math.round(width * scale);
  canvas.height = Math.round(height * scale);
  const brush = canvas.getContext("2d")!;
  brush.setTransform(scale, 0, 0, scale, -drawn.left * scale, -drawn.top * scale);
  if (drawn.bare) {
    brush.fillStyle = colours.getPropertyValue("--edge-of-field");
    for (const place of plan.places.values())
      if (holds(drawn, place, plan.card)) brush.fillRect(place.x, place.y, plan.card.width, plan.card.height);
  }
  for (const { edges, width: line, against, faded } of strokes(shown, plan, largest, drawn)) {
    yield;
    brush.globalAlpha = faded ? 0.3 : 0.75;
    brush.strokeStyle = colours.getPropertyValue(against ? "--against" : "--for");
    brush.lineWidth = line;
    brush.setLineDash(against && line >= DASHED ? [7, 5] : []);
    brush.stroke(pathOf(edges, plan));
  }
}

/** The edges in the window, a few of one kind and width at a time, thin ones first. */
function* strokes(edges: EdgeData[], plan: Layout, largest: number, drawn: Window) {
  const found = new Map<number, EdgeData[]>();
  for (const edge of edges) {
    const [from, to] = [plan.places.get(edge.lower)!, plan.places.get(edge.upper)!];
    if (!passes(drawn, from, to, plan.card)) continue;
    const width = Math.ceil((WIDTHS * Math.abs(edge.weight)) / Math.max(largest, 1e-9));
    const key = 4 * width + 2 * Number(unsure(edge)) + Number(edge.weight < 0);
    if (!found.has(key)) found.set(key, []);
    found.get(key)!.push(edge);
  }
  for (const [key, alike] of [...found].sort(([a], [b]) => a - b)) {
    const width = thickness(((key >> 2) / WIDTHS) * largest, largest);
    for (let first = 0; first < alike.length; first += IN_A_FRAME)
      yield {
        edges: alike.slice(first, first + IN_A_FRAME),
        width,
        against: key % 2 === 1,
        faded: (key & 2) === 2,
      };
  }
}

function pathOf(edges: EdgeData[], { places, card }: Layout): Path2D {
  const path = new Path2D();
  for (const { lower, upper } of edges) {
    const [x0, y0, x1, y1] = ends(places.get(lower)!, places.get(upper)!, card);
    const middle = (x0 + x1) / 2;
    path.moveTo(x0, y0);
    path.bezierCurveTo(middle, y0, middle, y1, x1, y1);
  }
  return path;
}
