/** The score of a group on a picture, with a tick at the threshold from which the group fires. */

import { fixed } from "./format";
import type { GroupReading } from "./types";

/** Score at the end of the meter. */
const SCALE = 2;

export function Meter({ reading: { score, threshold, fires } }: { reading: GroupReading }) {
  const at = (value: number) => `${Math.min(value / SCALE, 1) * 100}%`;
  return (
    <span class="meter" title={`score ${fixed(score, 2)}, fires from ${fixed(threshold, 2)}`}>
      <span class={fires ? "on" : "off"} style={{ width: at(score) }} />
      <span class="tick" style={{ left: at(threshold) }} />
    </span>
  );
}
