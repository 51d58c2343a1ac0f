/** How the pictures that are tried mark the cards of the circuit. */

import type { Mark } from "../circuit/card";
import type { GroupReading, LivePicture } from "../shared/types";

/** From this score on a card is lit fully; 1 is the score on the group's own crops. */
const BRIGHTEST = 1.5;

export const LETTERS = ["A", "B"] as const;

/** Returns the mark of each group that is masked or read; null if there is nothing to mark. */
export function litOf(pictures: LivePicture[], masked: ReadonlySet<string>): Map<string, Mark> | null {
  if (!pictures.length && !masked.size) return null;
  const found = new Map<string, Mark>();
  for (const id of masked) found.set(id, { fires: false, letters: "", strength: 0, masked: true });
  pictures.forEach(({ shown }, i) => {
    for (const { id, fires, score } of shown.report.groups) {
      const known = found.get(id) ?? { fires: false, letters: "", strength: 0, masked: false };
      found.set(id, {
        ...known,
        fires: known.fires || fires,
        letters: known.letters + (fires && pictures.length > 1 ? LETTERS[i] : ""),
        strength: fires ? Math.max(known.strength, Math.min(score / BRIGHTEST, 1)) : known.strength,
      });
    }
  });
  return found;
}

export interface Row {
  id: string;
  /** one for each picture */
  readings: GroupReading[];
}

/** Groups that fire on at least one picture, those with most weight into the target first. */
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

/** The same with groups that fire on only one of the pictures first. */
export function differing(rows: Row[]): Row[] {
  const shared = (row: Row) => Number(row.readings.every((reading) => reading.fires));
  return [...rows].sort((a, b) => shared(a) - shared(b));
}
