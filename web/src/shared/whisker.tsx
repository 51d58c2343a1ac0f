/** A value with its interval on a line from one end to the other. */

import { fixed } from "./format";
import type { Interval } from "./types";

interface WhiskerProps {
  value: Interval | null | undefined;
  from?: number;
  to?: number;
  kind?: string;
}

export function Whisker({ value, from = 0, to = 1, kind = "for" }: WhiskerProps) {
  if (!value) return <span class="whisker-cell quiet">not measured</span>;
  const at = (x: number) => `${(Math.min(Math.max((x - from) / (to - from), 0), 1) * 100).toFixed(1)}%`;
  const text = `${fixed(value.value, 2)}, from ${fixed(value.low, 2)} to ${fixed(value.high, 2)}`;
  return (
    <span class="whisker-cell" title={text}>
      <span class={`whisker-line ${kind}`} role="img" aria-label={text}>
        {from < 0 && <span class="origin" style={{ left: at(0) }} />}
        <span class="range" style={{ left: at(value.low), right: `calc(100% - ${at(value.high)})` }} />
        <span class="point" style={{ left: at(value.value) }} />
      </span>
      <span class="number">{fixed(value.value, 2)}</span>
    </span>
  );
}
