/** Where cards stand, how edges run between them, and which part of it is seen first. */

import type { Size, View } from "../shared/camera";
import type { EdgeData } from "../shared/types";
import type { Circuit } from "./circuit";

export interface Place {
  x: number;
  y: number;
}

export interface Card extends Size {
  /** pictures on it */
  crops: number;
}

export interface Layout extends Size {
  card: Card;
  places: Map<string, Place>;
  /** left edge of each column */
  columns: number[];
  /** between columns */
  gap: number;
  /** height at which what matters most to the target is found */
  middle: number;
  /** the smallest scale of the first view */
  readable: number;
}

const ROOMY: Card = { width: 184, height: 130, crops: 8 };
const FLAT: Card = { width: 184, height: 87, crops: 4 };
const MANY = 8;
const ROW_GAP = 12;
const COLUMN_GAP = { least: 88, most: 190 };

/** Smaller than this, a card cannot be read. */
const READABLE = 0.66;
/** Width of the screen, in pixels, from which on cards are shown in their full size if columns fit beside each other. */
const WIDE = 1700;
const LARGEST = 1.6;
/** Cards are not made smaller than this for a path. */
const LEAST_FRAMED = 0.4;
/** Height of the heads of the columns, in pixels of the screen. */
export const HEAD = 66;
const MARGIN = 24;
const NEARLY = 80;

const clamp = (value: number, least: number, most: number) => Math.min(Math.max(value, least), most);

/**
 * Flat cards if a column is tall; columns as far apart as the screen allows and centred, but for the
 * last, which stands at the height of what matters to it.
 */
export function layout(circuit: Circuit, screen: Size): Layout {
  const tallest = Math.max(...circuit.columns.map((column) => column.length), 1);
  const card = tallest > MANY ? FLAT : ROOMY;
  const pitch = card.height + ROW_GAP;
  const height = tallest * pitch - ROW_GAP;
  const count = circuit.columns.length;
  const narrowest = count * (card.width + COLUMN_GAP.least) - COLUMN_GAP.least;
  const across = (screen.width - 4 * MARGIN) / narrowest;
  const readable = clamp(Math.min(across, screen.width / WIDE), READABLE, 1);
  const scale = clamp((screen.height - HEAD - 2 * MARGIN) / height, readable, LARGEST);
  const room = (screen.width - 4 * MARGIN) / scale - count * card.width;
  const gap = clamp(room / Math.max(count - 1, 1), COLUMN_GAP.least, COLUMN_GAP.most);
  const places = new Map<string, Place>();
  const columns = circuit.columns.map((column, number) => {
    const x = number * (card.width + gap);
    const top = (height - (column.length * pitch - ROW_GAP)) / 2;
    column.forEach((id, row) => {
      places.set(id, { x, y: top + row * pitch });
    });
    return x;
  });
  const middle = heightOfImportance(circuit, places, height - card.height) + card.height / 2;
  const last = circuit.columns[count - 1]!;
  const slack = (height - (last.length * pitch - ROW_GAP)) / 2;
  const drop = clamp(middle - height / 2, -slack, slack);
  for (const id of last) places.get(id)!.y += drop;
  return { card, places, columns, gap, middle, readable, width: count * (card.width + gap) - gap, height };
}

/** Mean top of the cards below the target, weighted by their path weights; the middle if nothing reaches it. */
function heightOfImportance(circuit: Circuit, places: Map<string, Place>, room: number): number {
  let [sum, weight] = [0, 0];
  for (const id of circuit.columns.slice(0, -1).flat()) {
    const pathWeight = Math.abs(circuit.groups.get(id)!.pathWeight);
    sum += pathWeight * places.get(id)!.y;
    weight += pathWeight;
  }
  return weight ? sum / weight : room / 2;
}

/** All of it if that can be read, else the target and what matters most to it. */
export function firstView(plan: Size & { middle: number; readable: number }, screen: Size, least?: number): View {
  const across = screen.width - 2 * MARGIN;
  const down = screen.height - HEAD - 2 * MARGIN;
  const k = clamp(Math.min(across / plan.width, down / plan.height), least ?? plan.readable, LARGEST);
  const spare = across - plan.width * k;
  const fits = plan.height * k <= down;
  const centred = clamp(down / 2 - plan.middle * k, down - plan.height * k, 0);
  // a first row that is nearly whole is shown whole
  const above = fits ? (down - plan.height * k) / 2 : centred > -NEARLY ? 0 : centred;
  return { k, x: MARGIN + (spare > 0 ? spare / 2 : spare), y: HEAD + MARGIN + above };
}

/** The view moved as little as brings a card into sight, with the columns beside it if there is room. */
export function revealing(
  view: View,
  place: Place,
  { card, gap, width }: Pick<Layout, "card" | "gap" | "width">,
  screen: Size,
): View {
  const shift = (start: number, length: number, from: number, to: number) =>
    start < from ? from - start : start + length > to ? Math.max(to - start - length, from - start) : 0;
  const left = view.x + place.x * view.k;
  const beside = (card.width + gap) * view.k;
  const roomy = card.width * view.k + 2 * (beside + MARGIN) <= screen.width;
  const before = MARGIN + (roomy && place.x > 0 ? beside : 0);
  const after = MARGIN + (roomy && place.x + card.width < width ? beside : 0);
  const top = view.y + place.y * view.k;
  return {
    k: view.k,
    x: view.x + shift(left, card.width * view.k, before, screen.width - after),
    y: view.y + shift(top, card.height * view.k, HEAD + 8, screen.height - MARGIN),
  };
}

/** The view moved, and zoomed out where it has to be, so that all of some cards are in sight. */
export function framing(view: View, places: Place[], card: Card, screen: Size): View {
  const [xs, ys] = [places.map(({ x }) => x), places.map(({ y }) => y)];
  const [x, y] = [Math.min(...xs), Math.min(...ys)];
  const box = { ...card, width: Math.max(...xs) - x + card.width, height: Math.max(...ys) - y + card.height };
  const room = Math.min((screen.width - 2 * MARGIN) / box.width, (screen.height - HEAD - 8 - MARGIN) / box.height);
  const k = Math.min(view.k, Math.max(room, LEAST_FRAMED));
  const about = { x: screen.width / 2, y: screen.height / 2 };
  const zoomed = { k, x: about.x + ((view.x - about.x) * k) / view.k, y: about.y + ((view.y - about.y) * k) / view.k };
  return revealing(zoomed, { x, y }, { card: box, gap: screen.width, width: box.width }, screen);
}

/** The card at a point of the drawing. */
export function cardAt({ places, card }: Pick<Layout, "places" | "card">, { x, y }: Place): string | null {
  for (const [id, place] of places)
    if (x >= place.x && x < place.x + card.width && y >= place.y && y < place.y + card.height) return id;
  return null;
}

/** Where an edge begins, at the right of the lower card, and where it ends, at the left of the upper one. */
export function ends(lower: Place, upper: Place, card: Size): [number, number, number, number] {
  const middle = card.height / 2;
  return [lower.x + card.width, lower.y + middle, upper.x, upper.y + middle];
}

/** The curve between them: level at both ends. */
export function curve(lower: Place, upper: Place, card: Size): string {
  const [x0, y0, x1, y1] = ends(lower, upper, card);
  const middle = (x0 + x1) / 2;
  return `M${x0},${y0}C${middle},${y0} ${middle},${y1} ${x1},${y1}`;
}

export const largestOf = (edges: EdgeData[]): number =>
  edges.reduce((most, edge) => Math.max(most, Math.abs(edge.weight)), 0);

/** Width of an edge in pixels, growing with its weight. */
export function thickness(weight: number, largest: number): number {
  return 1.2 + 11 * (Math.abs(weight) / Math.max(largest, 1e-9));
}
