/** What a picture lights up in the circuit. */

import type { GroupReading, LivePicture } from "./types";

/** How a group's card is to look. */
export interface Lit {
  /** of the pictures, by letter, those on which it fires: "", "A", "B" or "AB" */
  fires: string;
  /** 0 to 1: the best score next to the group's own crops */
  strength: number;
  masked: boolean;
}

/** A score of so much, and more, is lit fully: 1 is as on the group's own crops. */
const BRIGHTEST = 1.5;

export const LETTERS = ["A", "B"] as const;

export function litOf(pictures: LivePicture[], masked: ReadonlySet<string>): Map<string, Lit> | null {
  if (!pictures.length && !masked.size) return null;
  const found = new Map<string, Lit>();
  for (const id of masked) found.set(id, { fires: "", strength: 0, masked: true });
  pictures.forEach(({ shown }, i) => {
    for (const { id, fires, score } of shown.report.groups) {
      const known = found.get(id) ?? { fires: "", strength: 0, masked: false };
      found.set(id, {
        ...known,
        fires: known.fires + (fires ? LETTERS[i] : ""),
        strength: fires ? Math.max(known.strength, Math.min(score / BRIGHTEST, 1)) : known.strength,
      });
    }
  });
  return found;
}

export interface Row {
  id: string;
  /** of each picture */
  readings: GroupReading[];
}

/** Groups that fire on a picture or another, those that carry most to the target first. */
export function firing(pictures: LivePicture[]): Row[] {
  const [first] = pictures;
  if (!first) return [];
  const at = (picture: LivePicture) => new Map(picture.shown.report.groups.map((group) => [group.id, group]));
  const all = pictures.map(at);
  return first.shown.report.groups
    .map(({ id }) => ({ id, readings: all.map((groups) => groups.get(id)!) }))
    .filter(({ readings }) => readings.some((reading) => reading.fires))
    .sort((a, b) => Math.abs(b.readings[0]!.reach) - Math.abs(a.readings[0]!.reach));
}

/** Of two pictures, what only one of them shows first, and of that what carries most. */
export function differing(rows: Row[]): Row[] {
  const shared = (row: Row) => Number(row.readings.every((reading) => reading.fires));
  return [...rows].sort((a, b) => shared(a) - shared(b));
}
