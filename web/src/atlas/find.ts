/** What of an atlas is found, and where things stand on the map: no pictures, no page. */

import type { View } from "../shared/camera";
import type { AtlasPageData, ClassData } from "../shared/types";

/** Positions of the classes that are found, by name: of the target, its circuit, or a group's label. */
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

/** What a group is called: its label, else its place. */
export const nameOf = (one: ClassData, group: string): string => one.shown[group]?.label ?? group;

export interface Spot {
  place: number;
  x: number;
  y: number;
}

/** What is kept free around the outermost points: pixels, and a share of the side where that is less. */
const MARGIN = 70;
const MARGIN_SHARE = 0.14;

/** Where classes stand on a screen of this size; those out of sight are left out. */
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

/** Of more classes in view, pictures would lie on each other. */
const FEW = 60;
const SMALLEST = 26;
const LARGEST = 64;

/** Side of a picture on the map, so that most do not touch; 0 where there is no room for any. */
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
 * Names under their points, over no other name and no other picture; who comes first has the room.
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
