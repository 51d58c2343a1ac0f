/** The search of an atlas, and the places of points and names on its map. */

import type { View } from "../shared/camera";
import type { AtlasPageData, ClassData } from "../shared/types";

/** Returns positions of the classes that match by the name of the target, the circuit, or a group's label. */
export function find(data: AtlasPageData, query: string): number[] {
  const wanted = query.trim().toLowerCase();
  const hit = ({ target, circuit, shown }: ClassData) =>
    [target, circuit, ...Object.values(shown).map(({ label }) => label)].some((text) =>
      text?.toLowerCase().includes(wanted),
    );
  return data.classes
    .map((_, place) => place)
    .filter((place) => !wanted || hit(data.classes[place]!))
    .sort((a, b) => data.classes[a]!.target.localeCompare(data.classes[b]!.target, "en", { numeric: true }));
}

/** Returns the name of a group: its label, or its id. */
export const nameOf = (one: ClassData, group: string): string => one.shown[group]?.label ?? group;

export interface Spot {
  place: number;
  x: number;
  y: number;
}

/** Free space around the outermost points: in pixels, or as a share of the side if that is less. */
const MARGIN = 70;
const MARGIN_SHARE = 0.14;

/** Returns the places of the classes on a screen of this size, without those out of sight. */
export function spots(classes: ClassData[], width: number, height: number, view: View): Spot[] {
  const room = (side: number) => side / 2 - Math.min(MARGIN, MARGIN_SHARE * side);
  const scale = Math.min(room(width), room(height));
  const wide = room(width) / scale; // the map may be drawn a little wider than high, to use the screen
  return classes
    .map(({ x, y }, place) => ({
      place,
      x: view.x + view.k * (width / 2 + x * scale * Math.min(wide, 1.5)),
      y: view.y + view.k * (height / 2 - y * scale),
    }))
    .filter(({ x, y }) => x > -MARGIN && x < width + MARGIN && y > -MARGIN && y < height + MARGIN);
}

/** With more classes in view, pictures would overlap. */
const FEW = 60;
const SMALLEST = 26;
const LARGEST = 64;

/** Returns the side of a picture on the map for which most do not touch; 0 if there is no room for pictures. */
export function pictureSide(found: Spot[]): number {
  if (found.length > FEW) return 0;
  const gaps = found.map((a) =>
    Math.min(...found.filter((b) => b !== a).map((b) => Math.max(Math.abs(a.x - b.x), Math.abs(a.y - b.y)))),
  );
  const usual = gaps.sort((a, b) => a - b)[Math.floor(gaps.length / 4)] ?? LARGEST;
  return Math.round(Math.min(Math.max(0.75 * usual, SMALLEST), LARGEST));
}

export interface Name extends Spot {
  text: string;
}

const LETTER = 6.9;
const LINE = 15;
const LONGEST = 24;

/**
 * Returns names under their points that overlap no other name and no other picture; earlier ones win.
 *
 * @param first places that are named before others
 * @param half half the side of a picture, or the radius of a dot
 */
export function names(found: Spot[], classes: ClassData[], first: number[], half: number, most = 80): Name[] {
  const rank = new Map(first.map((place, at) => [place, at]));
  const order = [...found].sort(
    (a, b) => (rank.get(a.place) ?? Infinity) - (rank.get(b.place) ?? Infinity) || a.place - b.place,
  );
  const taken: Box[] =
    half > LINE / 2
      ? found.map(({ place, x, y }) => ({ place, left: x - half, top: y - half, right: x + half, bottom: y + half }))
      : [];
  const placed: Name[] = [];
  for (const { place, x, y } of order) {
    const name = classes[place]!.target;
    const text = name.length > LONGEST ? `${name.slice(0, LONGEST - 1)}…` : name;
    const wide = (text.length * LETTER) / 2;
    const own: Box = { place, left: x - wide, top: y + half + 2, right: x + wide, bottom: y + half + 2 + LINE };
    if (place !== first[0] && taken.some((other) => other.place !== place && meet(own, other))) continue;
    taken.push({ ...own, place: -1 });
    placed.push({ place, x, y: own.bottom - 4, text });
    if (placed.length === most) break;
  }
  return placed;
}

interface Box {
  place: number;
  left: number;
  top: number;
  right: number;
  bottom: number;
}

const meet = (a: Box, b: Box) => a.left < b.right && a.right > b.left && a.top < b.bottom && b.top < a.bottom;
