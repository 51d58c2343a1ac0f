/** What of an atlas is found, and where things stand on the map: no pictures, no page. */

import type { AtlasPageData, ClassData } from "./types";

/** Positions of the classes that are found, by name: of the target, its circuit, or a group's label. */
export function find(data: AtlasPageData, query: string): number[] {
  const wanted = query.trim().toLowerCase();
  const hit = ({ target, circuit, shown }: ClassData) =>
    [target, circuit, ...Object.values(shown).map(({ label }) => label)].some((text) => text?.toLowerCase().includes(wanted));
  return data.classes
    .map((_, place) => place)
    .filter((place) => !wanted || hit(data.classes[place]!))
    .sort((a, b) => data.classes[a]!.target.localeCompare(data.classes[b]!.target, "en"));
}

/** What a group is called: its label, else its place. */
export const nameOf = (one: ClassData, group: string): string => one.shown[group]?.label ?? group;

export interface View {
  k: number;
  x: number;
  y: number;
}

export interface Spot {
  place: number;
  x: number;
  y: number;
}

/** What is kept free around the outermost points, in pixels. */
const MARGIN = 70;

/** Where classes stand on a screen of this size; those out of sight are left out. */
export function spots(classes: ClassData[], width: number, height: number, view: View): Spot[] {
  const scale = Math.max(Math.min(width, height) / 2 - MARGIN, 40);
  const wide = Math.max((width / 2 - MARGIN) / scale, 1);
  return classes
    .map(({ x, y }, place) => ({
      place,
      x: view.x + view.k * (width / 2 + x * scale * Math.min(wide, 1.5)),
      y: view.y + view.k * (height / 2 - y * scale),
    }))
    .filter(({ x, y }) => x > -MARGIN && x < width + MARGIN && y > -MARGIN && y < height + MARGIN);
}

export interface Name extends Spot {
  text: string;
}

const LETTER = 6.9;
const LINE = 15;
const LONGEST = 24;

/**
 * Names under their points, without one over another; who comes first has the room.
 *
 * @param first places that are named before others
 * @param below distance from a point to its name
 */
export function names(found: Spot[], classes: ClassData[], first: number[], below: number, most = 80): Name[] {
  const rank = new Map(first.map((place, at) => [place, at]));
  const order = [...found].sort((a, b) => (rank.get(a.place) ?? Infinity) - (rank.get(b.place) ?? Infinity) || a.place - b.place);
  const taken: [number, number, number, number][] = [];
  const placed: Name[] = [];
  for (const { place, x, y } of order) {
    const name = classes[place]!.target;
    const text = name.length > LONGEST ? `${name.slice(0, LONGEST - 1)}…` : name;
    const half = (text.length * LETTER) / 2;
    const [left, top, right, bottom] = [x - half, y + below, x + half, y + below + LINE];
    if (taken.some(([l, t, r, b]) => left < r && right > l && top < b && bottom > t)) continue;
    taken.push([left, top, right, bottom]);
    placed.push({ place, x, y: y + below + LINE - 4, text });
    if (placed.length === most) break;
  }
  return placed;
}
