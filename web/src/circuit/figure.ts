/**
 * A figure for a paper or a slide: a few groups laid out anew and tight, as one SVG.
 *
 * 1. The groups: a path, those that were pinned, or the strongest of each layer.
 * 2. Edges: W(G, H) between neighbouring layers. Where layers in between are left out, the weights along
 *    all paths through them, multiplied and added up.
 * 3. Lengths are those of the printed figure in CSS pixels (1/96 inch), so that text keeps its size.
 *    Wide figures run from left to right, narrow ones from the top down.
 */

import { plural, signedPercent } from "../shared/format";
import type { EdgeData } from "../shared/types";
import { type Circuit, type Group, leaders } from "./circuit";
import { titleOf } from "./names";
import { type Path, stations } from "./path";

export type Source = "path" | "pins" | "strongest";
/** Looks of a figure, and what they are called. */
export const LOOKS = {
  light: "light",
  dark: "dark",
  transparent: "transparent, dark text",
  "transparent dark": "transparent, light text",
};
export type Look = keyof typeof LOOKS;

/** Sizes that figures are made for, in CSS pixels: the width between margins of 0.4 times the text, the text, the crops. */
export const SIZES = {
  column: { name: "Column, 85 mm", width: 313, text: 10, crop: 46 },
  page: { name: "Page, 178 mm", width: 664.6, text: 10.5, crop: 60 },
  slide: { name: "Slide, 1280 px", width: 1261.6, text: 23, crop: 124 },
} as const;
export type Size = keyof typeof SIZES;

export interface Drawn {
  /** groups, from the input side to the target */
  columns: Group[][];
  edges: EdgeData[];
}

export interface Tile {
  group: Group;
  x: number;
  y: number;
  width: number;
  height: number;
  /** crops of different photographs, with their places */
  crops: { crop: number; x: number; y: number }[];
  /** place of the words */
  words: { x: number; y: number; width: number };
}

export interface Plan {
  size: Size;
  /** from left to right, or from the top down */
  across: boolean;
  width: number;
  /** of the tiles alone, without title and caption */
  height: number;
  crop: number;
  tiles: Map<string, Tile>;
}

/** The groups of a figure and the edges between them. */
export function chosen(
  circuit: Circuit,
  source: Source,
  pins: string[],
  path: Path | null,
  from: string | null,
): Drawn {
  const ids =
    source === "path" && path && from
      ? stations(path, from)
      : source === "pins"
        ? pins.filter((id) => circuit.groups.has(id))
        : [...leaders(circuit).map(({ id }) => id), ...(circuit.columns.at(-1) ?? [])];
  const wanted = new Set(ids);
  // the parts of a target stand in their order
  const parts = circuit.data.layers.at(-1)!.groups.map(({ id }) => id);
  const columns = [...circuit.columns.slice(0, -1), parts]
    .map((column) => column.filter((id) => wanted.has(id)).map((id) => circuit.groups.get(id)!))
    .filter((column) => column.length > 0);
  const edges = columns.slice(1).flatMap((upper, i) => {
    const lower = columns[i]!;
    return upper.flatMap((group) => between(circuit, lower, group));
  });
  return { columns, edges };
}

const UNMEASURED = { positive: null, negative: null, low: null, high: null, significance: null, stability: null };

/** The edges from some groups of one layer to a group above them: stored ones, or along all paths between. */
function between(circuit: Circuit, lower: Group[], upper: Group): EdgeData[] {
  const direct = upper.layer - lower[0]!.layer === 1;
  return lower.flatMap((group) => {
    const stored = upper.inputs.find((edge) => edge.lower === group.id);
    if (direct) return stored ? [stored] : [];
    const weight = alongAll(circuit, group, upper, new Map());
    return weight ? [{ ...UNMEASURED, lower: group.id, upper: upper.id, weight }] : [];
  });
}

function alongAll(circuit: Circuit, from: Group, to: Group, known: Map<string, number>): number {
  if (from.id === to.id) return 1;
  if (from.layer >= to.layer) return 0;
  if (!known.has(from.id)) {
    const sum = from.outputs.reduce(
      (total, edge) => total + edge.weight * alongAll(circuit, circuit.groups.get(edge.upper)!, to, known),
      0,
    );
    known.set(from.id, sum);
  }
  return known.get(from.id)!;
}

const GAP = { across: 0.5, down: 2.8, tile: 0.8 };
/** Room for the words beside the crops of a row, as a multiple of the size of the text. */
const WORDS = 11.5;
const LEAST_CROP = 34;
const MOST_CROPS = 6;

/** Places tiles; `crops` is the number of crops on each. */
export function laidOut({ columns }: Drawn, circuit: Circuit, size: Size, crops: number): Plan {
  const { width, text } = SIZES[size];
  const across = size !== "column" && columns.length > 1;
  const count = Math.min(crops, MOST_CROPS);
  const room = across ? fitting(columns.length, width, text) : fittingRow(columns, count, width, text);
  const crop = Math.min(SIZES[size].crop, room);
  const tiles = new Map<string, Tile>();
  const height = across
    ? placeAcross(columns, circuit, { width, text, crop, count }, tiles)
    : placeDown(columns, circuit, { width, text, crop, count }, tiles);
  return { size, across, width, height, crop, tiles };
}

interface Measures {
  width: number;
  text: number;
  crop: number;
  count: number;
}

/** The largest crop with which two fit beside each other in every column. */
const fitting = (columns: number, width: number, text: number): number =>
  (width - (columns - 1) * 4.2 * text) / columns / 2 - GAP.across * text;

/** The largest crop with which a row of one group has all crops and the words beside them, and others two a group. */
function fittingRow(columns: Group[][], count: number, width: number, text: number): number {
  const rows = columns.map(({ length }) => {
    const [room, crops] =
      length > 1 ? [rowTile(length, width, text), Math.min(count, 2)] : [width - WORDS * text, count];
    return (room - text) / crops - 0.25 * text;
  });
  return Math.max(Math.min(...rows), LEAST_CROP);
}

/** Width of a tile in a row of `length`. */
const rowTile = (length: number, width: number, text: number): number =>
  (width - (length - 1) * GAP.tile * text) / length;

/** Different photographs first, as the group lists them. */
function photographs({ data }: Circuit, group: Group, count: number): number[] {
  const seen = new Set<number>();
  const apart = group.crops.filter((crop) => {
    const { image, picture } = data.crops[crop]!;
    return picture !== null && !seen.has(image) && seen.add(image);
  });
  return apart.slice(0, count);
}

function placeAcross(columns: Group[][], circuit: Circuit, measures: Measures, tiles: Map<string, Tile>): number {
  const { width, text, crop, count } = measures;
  const gap = 0.25 * text;
  const pad = 0.5 * text;
  const inner = 2 * crop + gap;
  const tile = inner + 2 * pad;
  const pitch = columns.length > 1 ? (width - tile) / (columns.length - 1) : 0;
  const heightOf = (shown: number) => Math.ceil(shown / 2) * (crop + gap) + 2.9 * text + 2 * pad - gap;
  const kept = columns.map((column) => column.map((group) => photographs(circuit, group, count)));
  const heights = kept.map((column) => column.map((crops) => heightOf(crops.length)));
  const totals = heights.map((column) => column.reduce((sum, each) => sum + each + GAP.tile * text, -GAP.tile * text));
  const height = Math.max(...totals, 0);
  columns.forEach((column, i) => {
    let y = (height - totals[i]!) / 2;
    column.forEach((group, row) => {
      const x = i * pitch;
      const places = kept[i]![row]!.map((crop_, n) => ({
        crop: crop_,
        x: x + pad + (n % 2) * (crop + gap),
        y: y + pad + Math.floor(n / 2) * (crop + gap),
      }));
      const own = heights[i]![row]!;
      const words = { x: x + pad, y: y + own - pad - 2.4 * text, width: inner };
      tiles.set(group.id, { group, x, y, width: tile, height: own, crops: places, words });
      y += own + GAP.tile * text;
    });
  });
  return height;
}

/** One row a layer, the target on top; the words of a tile stand beside its crops where there is room. */
function placeDown(columns: Group[][], circuit: Circuit, measures: Measures, tiles: Map<string, Tile>): number {
  const { width, text, crop, count } = measures;
  const gap = 0.25 * text;
  const pad = 0.5 * text;
  let y = 0;
  for (const column of [...columns].reverse()) {
    const tile = rowTile(column.length, width, text);
    const beside = column.length === 1;
    const room = Math.max(Math.floor((tile - 2 * pad - (beside ? WORDS * text : 0) + gap) / (crop + gap)), 1);
    const kept = column.map((group) => photographs(circuit, group, Math.min(count, room)));
    const height = crop + 2 * pad + (beside ? 0 : 2.9 * text);
    column.forEach((group, i) => {
      const x = i * (tile + GAP.tile * text);
      const places = kept[i]!.map((crop_, n) => ({ crop: crop_, x: x + pad + n * (crop + gap), y: y + pad }));
      const taken = places.length * (crop + gap);
      const words = beside
        ? { x: x + pad + taken + gap, y: y + height / 2 - 1.2 * text, width: tile - 2 * pad - taken }
        : { x: x + pad, y: y + crop + pad + 0.5 * text, width: tile - 2 * pad };
      tiles.set(group.id, { group, x, y, width: tile, height, crops: places, words });
    });
    y += height + GAP.down * text;
  }
  return Math.max(y - GAP.down * text, 0);
}

/** Share of the absolute weight into the figure's groups that its edges show; null without any. */
export function shareShown({ columns, edges }: Drawn): number | null {
  const uppers = columns.slice(1).flat();
  const all = uppers.reduce(
    (sum, { inputs }) => sum + inputs.reduce((part, { weight }) => part + Math.abs(weight), 0),
    0,
  );
  const stored = new Set(uppers.flatMap(({ inputs }) => inputs));
  const shown = edges.reduce((sum, edge) => sum + (stored.has(edge) ? Math.abs(edge.weight) : 0), 0);
  return all && shown ? shown / all : null;
}

/** The title leaves out which library the network is from; the caption says it. */
export const figureTitle = ({ data }: Circuit): string =>
  `What drives ${data.target} in ${data.model.replace(/^\w+:/, "")}`;

/** What a reader of the figure must know: network, photographs, share of weight shown, controls. */
export function figureCaption(circuit: Circuit, drawn: Drawn): string {
  const { data } = circuit;
  const share = shareShown(drawn);
  const tested = drawn.edges.filter(({ significance }) => significance !== null);
  const significant = tested.filter(({ significance }) => significance! < 0.05).length;
  const skips = drawn.edges.some((edge) => !circuit.groups.get(edge.upper)!.inputs.includes(edge));
  const parts = [
    `Groups of neurons in ${data.model}, found on ${plural(data.crop_count, "crop")} of ${plural(data.images.length, "photograph")}. The crops of each group come from different photographs.`,
    data.shares ? `Below each name: the group's weight along all paths to ${data.target}.` : "",
    share === null
      ? ""
      : `The edges carry ${Math.round(share * 100)} % of the absolute weight into the groups shown; solid excites, dashed inhibits.`,
    skips ? "An edge that skips layers is the sum of all paths between its ends." : "",
    tested.length
      ? `${significant} of ${tested.length} edges are significant in a test with permuted groups (p < 0.05).`
      : "Edges were not tested with permuted groups.",
  ];
  return parts.filter(Boolean).join(" ");
}

/** What stands under a name, and a shorter form: the layer, unless the name begins with it, and the weight, unless it is all. */
export function aboutInFigure(group: Group, circuit: Circuit): string[] {
  const { data } = circuit;
  const isTarget = group.layer === data.layers.length - 1;
  const layer = nameInFigure(group, circuit) === group.id ? "" : data.layers[group.layer]!.name;
  if (!data.shares || isTarget) return [layer];
  const weight = signedPercent(group.pathWeight);
  return layer ? [`${layer} · ${weight}`, weight] : [`${weight} of the weight`, weight];
}

export const nameInFigure = (group: Group, { data }: Circuit): string => {
  const title = titleOf(group, data);
  return /^\d+$/.test(title) ? group.id : title;
};
