/**
 * The edges of a large circuit, painted on one canvas: thousands of elements would be slow to move. Where
 * cards are too small to be read, they are boxes on it as well.
 *
 * The canvas covers the window (what is in view and some more), so that it is painted again only when
 * the view leaves it; until then it moves with the drawing. Painting thousands of edges takes many frames,
 * so a window that moves on is painted once it rests.
 */

import { useLayoutEffect, useRef } from "preact/hooks";
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

/** How long the window rests before its edges are painted, in milliseconds. */
const REST = 120;
/** Browsers give up on larger canvases. */
const LARGEST_SIDE = 4096;
/** Dashes of thinner lines take longest to paint, and are too small to be seen among thousands of edges. */
const DASHED = 4;
/** Widths told apart, so that edges alike are one stroke. */
const WIDTHS = 6;

export function Canvas({ plan, shown, largest, drawn }: CanvasProps) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const theme = useTheme();
  const painted = useRef<{ contents: unknown[]; window: Window } | null>(null);
  useLayoutEffect(() => {
    if (!drawn) return;
    const contents = [plan, shown, largest, theme];
    const draw = () => {
      painted.current = { contents, window: drawn };
      paint(canvas.current!, plan, shown, largest, drawn);
    };
    const moved = painted.current && contents.every((each, i) => each === painted.current!.contents[i]);
    if (moved && covers(painted.current!.window, drawn)) return;
    const timer = moved ? setTimeout(draw, REST) : draw();
    return () => clearTimeout(timer ?? undefined);
  }, [plan, shown, largest, drawn, theme]);
  if (!drawn) return null;
  return <canvas class="edges all" ref={canvas} aria-hidden="true" data-edges={shown.length} />;
}

function paint(canvas: HTMLCanvasElement, plan: Layout, shown: EdgeData[], largest: number, drawn: Window): void {
  const [width, height] = [drawn.right - drawn.left, drawn.bottom - drawn.top];
  const scale = Math.min(drawn.k * devicePixelRatio, LARGEST_SIDE / Math.max(width, height));
  Object.assign(canvas.style, box({ left: drawn.left, top: drawn.top, width, height }));
  canvas.width = Math.round(width * scale);
  canvas.height = Math.round(height * scale);
  const brush = canvas.getContext("2d")!;
  brush.setTransform(scale, 0, 0, scale, -drawn.left * scale, -drawn.top * scale);
  const colours = getComputedStyle(canvas);
  if (drawn.bare) {
    brush.fillStyle = colours.getPropertyValue("--edge-of-field");
    for (const place of plan.places.values())
      if (holds(drawn, place, plan.card)) brush.fillRect(place.x, place.y, plan.card.width, plan.card.height);
  }
  for (const { path, width: line, against, faded } of strokes(shown, plan, largest, drawn)) {
    brush.globalAlpha = faded ? 0.3 : 0.75;
    brush.strokeStyle = colours.getPropertyValue(against ? "--against" : "--for");
    brush.lineWidth = line;
    brush.setLineDash(against && line >= DASHED ? [7, 5] : []);
    brush.stroke(path);
  }
}

/** What is in the window, one path for each kind and width, thin ones first. */
function strokes(edges: EdgeData[], plan: Layout, largest: number, drawn: Window) {
  const found = new Map<number, Path2D>();
  for (const edge of edges) {
    const { lower, upper, weight } = edge;
    const [from, to] = [plan.places.get(lower)!, plan.places.get(upper)!];
    if (!passes(drawn, from, to, plan.card)) continue;
    const width = Math.ceil((WIDTHS * Math.abs(weight)) / Math.max(largest, 1e-9));
    const key = 4 * width + 2 * Number(unsure(edge)) + Number(weight < 0);
    if (!found.has(key)) found.set(key, new Path2D());
    const [x0, y0, x1, y1] = ends(from, to, plan.card);
    const middle = (x0 + x1) / 2;
    const path = found.get(key)!;
    path.moveTo(x0, y0);
    path.bezierCurveTo(middle, y0, middle, y1, x1, y1);
  }
  return [...found]
    .sort(([a], [b]) => a - b)
    .map(([key, path]) => ({
      path,
      width: thickness(((key >> 2) / WIDTHS) * largest, largest),
      against: key % 2 === 1,
      faded: (key & 2) === 2,
    }));
}
