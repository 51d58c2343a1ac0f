/**
 * The edges of a large circuit, painted on one canvas: thousands of elements would be slow to move. Where
 * cards are too small to be read, they are boxes on it as well.
 *
 * The canvas covers the window (what is in view and some more), so that it is painted again only when
 * the view leaves it; until then it moves with the drawing. Painting thousands of edges takes longer than
 * a frame. So for a window that moves on, the next canvas is painted before it is shown, some edges in each
 * frame, and only where the last one showed nothing.
 */

import type { RefObject } from "preact";
import { useEffect, useLayoutEffect, useMemo, useRef } from "preact/hooks";
import { box } from "../shared/box";
import { useTheme } from "../shared/theme";
import type { EdgeData } from "../shared/types";
import { type Circuit, unsure } from "./circuit";
import { ends, type Layout, largestOf, thickness } from "./layout";
import { beyond, covers, holds, passes, type Window } from "./window";

interface CanvasProps {
  circuit: Circuit;
  plan: Layout;
  shown: EdgeData[];
  drawn: Window | null;
  /** the element around the canvas, which the camera moves */
  frame: RefObject<HTMLDivElement | null>;
}

/** Edges painted in one frame of a drawing that moves. */
const IN_A_FRAME = 150;
/** Browsers give up on larger canvases. */
const LARGEST_SIDE = 4096;
/** Dashes of thinner lines take longest to paint, and are too small to be seen among thousands of edges. */
const DASHED = 4;
/** Widths told apart, so that edges alike are one stroke. */
const WIDTHS = 6;

/** A painted canvas, and what it shows. */
interface Sheet {
  canvas: HTMLCanvasElement;
  /** the place of the canvas in the drawing, on whole pixels */
  window: Window;
  /** pixels of the canvas to a unit of the drawing */
  scale: number;
}

export function Canvas({ circuit, plan, shown, drawn, frame }: CanvasProps) {
  const largest = useMemo(() => largestOf(circuit.data.edges), [circuit]);
  const theme = useTheme();
  const begun = useRef<{ contents: unknown[]; window: Window } | null>(null);
  const last = useRef<Sheet | null>(null);
  const next = useRef(0);
  useLayoutEffect(() => {
    if (!drawn) return;
    const contents = [plan, shown, largest, theme];
    const moved = begun.current && contents.every((each, i) => each === begun.current!.contents[i]);
    if (moved && covers(begun.current!.window, drawn)) return;
    const first = begun.current === null;
    const run = { contents, window: drawn };
    begun.current = run;
    cancelAnimationFrame(next.current);
    const sheet = sheetFor(drawn);
    const steps = painting(sheet, moved ? last.current : null, getComputedStyle(frame.current!), plan, shown, largest);
    const go = () => {
      if (!steps.next().done) return true;
      last.current = sheet;
      void createImageBitmap(sheet.canvas).then(
        (picture) => last.current === sheet && show(frame.current, sheet, picture),
      );
      return false;
    };
    const later = () => {
      if (go()) next.current = requestAnimationFrame(later);
    };
    const all = () => {
      while (begun.current === run && go());
    };
    if (moved) later();
    else if (first)
      next.current = requestAnimationFrame(() => setTimeout(all)); // cards are seen first
    else all();
  }, [plan, shown, largest, drawn, theme]);
  useEffect(() => () => cancelAnimationFrame(next.current), []);
  return <div class="sheet" ref={frame} aria-hidden="true" data-edges={shown.length} />;
}

function sheetFor(drawn: Window): Sheet {
  const [width, height] = [drawn.right - drawn.left, drawn.bottom - drawn.top];
  const scale = Math.min(drawn.k * devicePixelRatio, LARGEST_SIDE / Math.max(width, height));
  const canvas = document.createElement("canvas");
  canvas.width = Math.round(width * scale);
  canvas.height = Math.round(height * scale);
  const [left, top] = [Math.round(drawn.left * scale) / scale, Math.round(drawn.top * scale) / scale];
  const [right, bottom] = [left + canvas.width / scale, top + canvas.height / scale];
  return { canvas, scale, window: { ...drawn, left, top, right, bottom } };
}

/**
 * Shows a sheet as a picture, which the browser need not copy in every frame as it does with a canvas that is painted on.
 * It has the size that it was painted for, so that nothing is resampled until the scale changes.
 */
function show(frame: HTMLElement | null, { window: { left, top, k }, scale }: Sheet, picture: ImageBitmap): void {
  const canvas = document.createElement("canvas");
  canvas.className = "edges all";
  [canvas.width, canvas.height] = [picture.width, picture.height];
  const size = k / scale;
  Object.assign(
    canvas.style,
    box({ left: left * k, top: top * k, width: picture.width * size, height: picture.height * size }),
  );
  canvas.getContext("bitmaprenderer")!.transferFromImageBitmap(picture);
  frame?.style.setProperty("--painted", String(k));
  frame?.replaceChildren(canvas);
}

/** Paints a sheet step by step; each step is short. What an earlier sheet of the same contents shows is copied. */
function* painting(
  { canvas, window, scale }: Sheet,
  earlier: Sheet | null,
  colours: CSSStyleDeclaration,
  plan: Layout,
  shown: EdgeData[],
  largest: number,
) {
  const brush = canvas.getContext("2d")!;
  const same = earlier && earlier.scale === scale && earlier.window.bare === window.bare ? earlier : null;
  if (same) {
    const [x, y] = [same.window.left - window.left, same.window.top - window.top];
    brush.drawImage(same.canvas, Math.round(x * scale), Math.round(y * scale));
  }
  brush.setTransform(scale, 0, 0, scale, -window.left * scale, -window.top * scale);
  const parts = same ? beyond(window, same.window) : [window];
  const clip = new Path2D();
  for (const { left, top, right, bottom } of parts) clip.rect(left, top, right - left, bottom - top);
  brush.clip(clip);
  if (window.bare) {
    brush.fillStyle = colours.getPropertyValue("--edge-of-field");
    const { width, height } = plan.card;
    for (const place of plan.places.values())
      if (parts.some((part) => holds(part, place, plan.card))) brush.fillRect(place.x, place.y, width, height);
  }
  for (const { edges, width, against, faded } of strokes(shown, plan, largest, parts)) {
    yield;
    brush.globalAlpha = faded ? 0.3 : 0.75;
    brush.strokeStyle = colours.getPropertyValue(against ? "--against" : "--for");
    brush.lineWidth = width;
    brush.setLineDash(against && width >= DASHED ? [7, 5] : []);
    brush.stroke(pathOf(edges, plan));
  }
}

/** The edges in some windows, a few of one kind and width at a time, thin ones first. */
function* strokes(edges: EdgeData[], plan: Layout, largest: number, parts: Window[]) {
  const found = new Map<number, EdgeData[]>();
  for (const edge of edges) {
    const [from, to] = [plan.places.get(edge.lower)!, plan.places.get(edge.upper)!];
    if (!parts.some((part) => passes(part, from, to, plan.card))) continue;
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
