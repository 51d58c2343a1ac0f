/** A figure as SVG: tiles with crops, edges with their shares, a title and a caption. */

import { weightsAs } from "../shared/format";
import type { EdgeData } from "../shared/types";
import type { Circuit } from "./circuit";
import { sourceOf } from "./crop";
import { aboutInFigure, type Drawn, type Look, nameInFigure, type Plan, SIZES, type Tile } from "./figure";
import { FONT, fitted, headed, INK, type Ink, loaded, painted, safe, wrapped } from "./ink";

export interface Figure {
  circuit: Circuit;
  drawn: Drawn;
  plan: Plan;
  look: Look;
  title: string;
  caption: string;
  /** groups that stand out; null: all alike */
  lit: ReadonlySet<string> | null;
}

export interface Picture {
  svg: string;
  width: number;
  height: number;
}

const isClear = (look: Look): boolean => look.startsWith("transparent");

/** Edges of less than this are faint. */
const FAINT = 0.05;

export function figureSvg(figure: Figure, crops: Map<number, string>): Picture {
  const { circuit, drawn, plan, look, lit } = figure;
  const ink = INK[look.endsWith("dark") ? "dark" : "light"];
  const { text } = SIZES[plan.size];
  const margin = 0.4 * text;
  const head = figure.title ? wrapped(figure.title, plan.width, 1.25 * text, true) : [];
  const top = head.length * 1.6 * text + (head.length ? 0.5 * text : 0);
  const foot = wrapped(figure.caption, 0.98 * plan.width, 0.9 * text); // fonts differ a little between programs
  const [width, height] = [
    plan.width + 2 * margin,
    top + plan.height + foot.length * 1.25 * text + 1.1 * text + 2 * margin,
  ];
  const dim = (on: boolean) => (lit && !on ? ' opacity="0.13"' : "");
  const largest = Math.max(...drawn.edges.map(({ weight }) => Math.abs(weight)), 1e-9);
  const lines = (all: string[], y: number, size: number, weight: string, fill: string) =>
    all.map(
      (line, i) =>
        `<text x="0" y="${(y + i * 1.25 * size).toFixed(1)}" font-size="${size.toFixed(1)}" ${weight} fill="${fill}">${safe(line)}</text>`,
    );
  const edges = drawn.edges.filter(({ lower, upper }) => plan.tiles.has(lower) && plan.tiles.has(upper));
  const onlyLit = ({ lower, upper }: EdgeData) => lit === null || (lit.has(lower) && lit.has(upper));
  const svg = [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width.toFixed(0)}" height="${height.toFixed(0)}" viewBox="${-margin} ${-margin} ${width} ${height}" font-family="${FONT}">`,
    `<title>${safe(figure.title || circuit.data.target)}</title>`,
    isClear(look) ? "" : `<rect x="${-margin}" y="${-margin}" width="${width}" height="${height}" fill="${ink.back}"/>`,
    ...lines(head, 1.25 * text, 1.25 * text, 'font-weight="bold"', ink.text),
    `<g transform="translate(0 ${top.toFixed(1)})">`,
    ...edges.map((edge) => `<g${dim(onlyLit(edge))}>${line(edge, plan, ink, largest, text)}</g>`),
    ...[...plan.tiles.values()].map(
      (tile) =>
        `<g data-group="${safe(tile.group.id)}"${dim(lit?.has(tile.group.id) ?? true)}>${tileOf(tile, figure, ink, crops)}</g>`,
    ),
    ...edges.map((edge) => `<g${dim(onlyLit(edge))}>${weightOf(edge, figure, ink)}</g>`),
    "</g>",
    ...lines(foot, top + plan.height + 1.6 * text, 0.9 * text, "", ink.quiet),
    "</svg>",
  ].join("\n");
  return { svg, width: Math.round(width), height: Math.round(height) };
}

function tileOf(
  { group, x, y, width, height, crops: places, words }: Tile,
  figure: Figure,
  ink: Ink,
  crops: Map<number, string>,
) {
  const { circuit, plan, look } = figure;
  const { text } = SIZES[plan.size];
  const { data } = circuit;
  const fill = isClear(look) ? "none" : ink.tile;
  const faint = Math.abs(group.pathWeight) < FAINT && data.shares ? ' opacity="0.8"' : "";
  const abouts = aboutInFigure(group, circuit).map(
    (about) => [about, fitted(about, words.width, 0.85 * text)] as const,
  );
  const about = (abouts.find(([whole, shown]) => whole === shown) ?? abouts.at(-1)!)[1];
  const name = headed(nameInFigure(group, circuit), words.width, text);
  return [
    `<rect x="${x.toFixed(1)}" y="${y.toFixed(1)}" width="${width.toFixed(1)}" height="${height.toFixed(1)}" rx="${0.5 * text}" fill="${fill}" stroke="${ink.line}"/>`,
    ...places.map(({ crop, x, y }) => {
      const source = crops.get(crop);
      const side = plan.crop.toFixed(1);
      return source
        ? `<image x="${x.toFixed(1)}" y="${y.toFixed(1)}" width="${side}" height="${side}" preserveAspectRatio="xMidYMid slice" href="${source}"/>`
        : "";
    }),
    ...name.lines.map(
      (line, i) =>
        `<text x="${words.x.toFixed(1)}" y="${(words.y + text * (name.lines.length > 1 ? 0.5 + 0.74 * i : 1)).toFixed(1)}" font-size="${name.size.toFixed(1)}" font-weight="bold" fill="${ink.text}">${safe(line)}</text>`,
    ),
    `<text x="${words.x.toFixed(1)}" y="${(words.y + 2.15 * text).toFixed(1)}" font-size="${(0.85 * text).toFixed(1)}" fill="${group.pathWeight < 0 ? ink.against : ink.quiet}"${faint}>${safe(about)}</text>`,
  ].join("");
}

/** Ends of an edge: between the sides of tiles that face each other. */
function endsOf({ lower, upper }: EdgeData, plan: Plan): [number, number, number, number] {
  const [from, to] = [plan.tiles.get(lower)!, plan.tiles.get(upper)!];
  return plan.across
    ? [from.x + from.width, from.y + from.height / 2, to.x, to.y + to.height / 2]
    : [from.x + from.width / 2, from.y, to.x + to.width / 2, to.y + to.height];
}

function line(edge: EdgeData, plan: Plan, ink: Ink, largest: number, text: number): string {
  const [x0, y0, x1, y1] = endsOf(edge, plan);
  const [x, y] = [(x0 + x1) / 2, (y0 + y1) / 2];
  const path = plan.across ? `C${x},${y0} ${x},${y1} ${x1},${y1}` : `C${x0},${y} ${x1},${y} ${x1},${y1}`;
  const sign =
    edge.weight < 0 ? `stroke="${ink.against}" stroke-dasharray="${0.5 * text} ${0.35 * text}"` : `stroke="${ink.for}"`;
  const width = text * (0.08 + 0.42 * (Math.abs(edge.weight) / largest));
  const faint = Math.abs(edge.weight) < FAINT ? 0.35 : 0.85;
  return `<path d="M${x0.toFixed(1)},${y0.toFixed(1)}${path}" fill="none" ${sign} stroke-width="${width.toFixed(2)}" stroke-opacity="${faint}"/>`;
}

function weightOf(edge: EdgeData, { circuit, drawn, plan, look }: Figure, ink: Ink): string {
  const ends = endsOf(edge, plan);
  const { text } = SIZES[plan.size];
  const words = weightsAs(circuit.data.shares)(edge.weight);
  const halo = isClear(look) ? "" : ` stroke="${ink.back}" stroke-width="${0.3 * text}" paint-order="stroke"`;
  const fill = edge.weight < 0 ? ink.against : ink.for;
  // where edges meet at one end, their weights stand near the other one
  const meets = (end: "lower" | "upper") => drawn.edges.filter((other) => other[end] === edge[end]).length > 1;
  const [x, y] = pointOf(
    ends,
    plan.across,
    meets("upper") ? (meets("lower") ? 0.3 : 0.25) : meets("lower") ? 0.75 : 0.5,
  );
  // from the top down a weight stands outside of its curve, beside the end that is its own
  const [own, other] = meets("upper") ? [ends[0], ends[2]] : meets("lower") ? [ends[2], ends[0]] : [x, x];
  const outside = own < other ? -1 : 1;
  const anchor = plan.across ? "middle" : outside < 0 ? "end" : "start";
  const [at, line] = plan.across ? [x, y - 0.45 * text] : [own + outside * 0.5 * text, y + 0.3 * text];
  return `<text x="${at.toFixed(1)}" y="${line.toFixed(1)}" text-anchor="${anchor}" font-size="${(0.85 * text).toFixed(1)}" font-weight="bold" fill="${fill}"${halo}>${words}</text>`;
}

/** A point of an edge's curve, from 0 at its lower end to 1. */
function pointOf([x0, y0, x1, y1]: [number, number, number, number], across: boolean, t: number): [number, number] {
  const [begin, end] = [(1 - t) ** 3, t ** 3];
  const [first, second] = [3 * (1 - t) ** 2 * t, 3 * (1 - t) * t ** 2];
  const turned = (a: number, b: number) => (begin + first) * a + (second + end) * b;
  const straight = (a: number, b: number) => begin * a + ((first + second) * (a + b)) / 2 + end * b;
  return across ? [straight(x0, x1), turned(y0, y1)] : [turned(x0, x1), straight(y0, y1)];
}

/** The crops of a plan as JPEG, which is small and which every program reads. */
export async function jpegs({ data }: Circuit, plan: Plan): Promise<Map<number, string>> {
  const wanted = new Set([...plan.tiles.values()].flatMap(({ crops }) => crops.map(({ crop }) => crop)));
  const found = await Promise.all(
    [...wanted].map(async (crop) => {
      const source = sourceOf(data, crop);
      if (!source) return null;
      const image = await loaded(source);
      return [crop, painted(image, image.width, image.height).toDataURL("image/jpeg", 0.9)] as const;
    }),
  );
  return new Map(found.filter((entry) => entry !== null));
}
