/** The circuit as a picture for a paper: an SVG of its own on white, and a PNG made from it. */

import type { EdgeData } from "../shared/types";
import { type Circuit, type Group, unsure } from "./circuit";
import { FONT, fitted, INK as INKS, loaded, painted, pngOf, safe } from "./ink";
import { curve, type Layout, largestOf, thickness } from "./layout";
import { titleOf } from "./names";

/** Part of the drawing. */
export interface Part {
  left: number;
  top: number;
  right: number;
  bottom: number;
}

export interface Scene {
  circuit: Circuit;
  plan: Layout;
  /** edges to be drawn, strongest first */
  shown: EdgeData[];
  /** null: the whole circuit */
  part: Part | null;
  /** groups and edges that stand out; null: all alike */
  raised: { ids: Set<string>; edges: EdgeData[] } | null;
}

const INK = INKS.light;
const MARGIN = 24;
const HEAD = 44;
const FOOT = 34;
/** Pixels of the PNG to one of the drawing, where browsers allow it. */
const SHARPNESS = 2;

/** The picture as SVG; crops inside as PNG, which every program reads. */
export async function toSvg(scene: Scene): Promise<string> {
  const { circuit, plan, part, raised } = scene;
  const whole = { left: -MARGIN, top: -MARGIN - HEAD, right: plan.width + MARGIN, bottom: plan.height + MARGIN };
  const { left, top, right, bottom } = part ? { ...part, top: part.top - HEAD / 2 } : whole;
  const inPart = ({ id }: Group) => {
    const { x, y } = plan.places.get(id)!;
    return !part || (x < right && x + plan.card.width > left && y < bottom && y + plan.card.height > top);
  };
  const groups = [...circuit.groups.values()].filter(inPart);
  const pictures = await pngs(circuit, groups, plan.card.crops);
  const dim = (on: boolean) => (raised && !on ? ' opacity="0.2"' : "");
  const own = new Set(raised?.edges ?? []);
  const edges = [...new Set([...scene.shown, ...own])].reverse();
  const cards = groups.map(
    (group) => `<g${dim(raised?.ids.has(group.id) ?? true)}>${cardOf(group, scene, pictures)}</g>`,
  );
  const [width, height] = [right - left, bottom - top + FOOT];
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width.toFixed(0)}" height="${height.toFixed(0)}" ` +
      `viewBox="${left} ${top} ${width} ${height}" font-family="${FONT}">`,
    `<title>${safe(`What drives ${circuit.data.target} in ${circuit.data.model}`)}</title>`,
    `<rect x="${left}" y="${top}" width="${width}" height="${height}" fill="#ffffff"/>`,
    ...edges.map((edge) => `<g${dim(own.has(edge))}>${edgeOf(edge, scene)}</g>`),
    ...cards,
    ...circuit.data.layers.map((layer, number) => {
      const middle = plan.columns[number]! + plan.card.width / 2;
      const line = part ? part.top : -HEAD / 2;
      return `<text x="${middle}" y="${line}" text-anchor="middle" font-size="17" font-weight="bold" fill="${INK.text}">${safe(layer.name)}</text>`;
    }),
    legend(left, bottom, width),
    "</svg>",
  ].join("\n");
}

/** The same as PNG, as sharp as the browser can make it. */
export const toPng = async (scene: Scene): Promise<Blob> => pngOf(await toSvg(scene), SHARPNESS);

function edgeOf(edge: EdgeData, { circuit, plan }: Scene): string {
  const { lower, upper, weight } = edge;
  const path = curve(plan.places.get(lower)!, plan.places.get(upper)!, plan.card);
  const sign = weight < 0 ? `stroke="${INK.against}" stroke-dasharray="7 5"` : `stroke="${INK.for}"`;
  const width = thickness(weight, largestOf(circuit.data.edges)).toFixed(2);
  return `<path d="${path}" fill="none" ${sign} stroke-width="${width}" stroke-opacity="${unsure(edge) ? 0.3 : 0.75}"/>`;
}

function cardOf(group: Group, { circuit, plan }: Scene, pictures: Map<number, string>): string {
  const { x, y } = plan.places.get(group.id)!;
  const { width, height, crops } = plan.card;
  const side = (width - 12 - 3 * 2) / 4;
  const images = group.crops.slice(0, crops).map((crop, i) => {
    const source = pictures.get(crop);
    const at = `x="${(x + 6 + (i % 4) * (side + 2)).toFixed(1)}" y="${(y + 6 + Math.floor(i / 4) * (side + 2)).toFixed(1)}"`;
    return source
      ? `<image ${at} width="${side.toFixed(1)}" height="${side.toFixed(1)}" preserveAspectRatio="xMidYMid slice" href="${source}"/>`
      : "";
  });
  const line = y + height - 17;
  const count = String(group.members.length);
  const name = fitted(titleOf(group, circuit.data), width - 24 - 9 * count.length, 16, true);
  return [
    `<rect x="${x}" y="${y}" width="${width}" height="${height}" rx="10" fill="#ffffff" stroke="${INK.line}"/>`,
    ...images,
    `<text x="${x + 8}" y="${line}" font-size="16" font-weight="bold" fill="${INK.text}">${safe(name)}</text>`,
    `<text x="${x + width - 8}" y="${line}" text-anchor="end" font-size="15" fill="${INK.quiet}">${count}</text>`,
    circuit.data.shares ? pathWeightBar(group.pathWeight, x + 6, y + height - 10, width - 12) : "",
  ].join("");
}

function pathWeightBar(pathWeight: number, x: number, y: number, width: number): string {
  const length = (Math.min(Math.abs(pathWeight), 1) * width) / 2;
  const middle = x + width / 2;
  const [from, ink] = pathWeight < 0 ? [middle - length, INK.against] : [middle, INK.for];
  return (
    `<rect x="${x}" y="${y}" width="${width}" height="5" rx="2.5" fill="#ececea"/>` +
    `<rect x="${from.toFixed(1)}" y="${y}" width="${length.toFixed(1)}" height="5" fill="${ink}"/>` +
    `<rect x="${middle - 0.5}" y="${y}" width="1" height="5" fill="${INK.quiet}"/>`
  );
}

function legend(left: number, top: number, width: number): string {
  const x = left + MARGIN;
  const y = top + FOOT / 2;
  const words = (at: number, text: string) =>
    `<text x="${at}" y="${y + 5}" font-size="14" fill="${INK.quiet}">${text}</text>`;
  const line = (at: number, ink: string, dash: string) =>
    `<line x1="${at}" x2="${at + 36}" y1="${y}" y2="${y}" stroke="${ink}" stroke-width="4"${dash}/>`;
  return [
    line(x, INK.for, ""),
    words(x + 44, "excites"),
    line(x + 112, INK.against, ' stroke-dasharray="7 5"'),
    words(x + 156, "inhibits"),
    width > 620 ? words(x + 228, "thicker: more weight; bar: weight along all paths to the target") : "",
  ].join("");
}

/** The crops' pictures as PNG, by crop. */
async function pngs({ data }: Circuit, groups: Group[], crops: number): Promise<Map<number, string>> {
  const wanted = new Set(groups.flatMap((group) => group.crops.slice(0, crops)));
  const found = await Promise.all(
    [...wanted].map(async (crop) => {
      const source = data.pictures[data.crops[crop]?.picture ?? -1];
      if (!source) return null;
      const image = await loaded(source);
      return [crop, painted(image, image.width, image.height).toDataURL("image/png")] as const;
    }),
  );
  return new Map(found.filter((entry) => entry !== null));
}
