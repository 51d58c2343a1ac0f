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
  const [middle, low, high] = value;
  const text = `${fixed(middle, 2)}, from ${fixed(low, 2)} to ${fixed(high, 2)}`;
  return (
    <span class="whisker-cell" title={text}>
      <span class={`whisker-line ${kind}`} role="img" aria-label={text}>
        {from < 0 && <span class="origin" style={{ left: at(0) }} />}
        <span class="range" style={{ left: at(low), right: `calc(100% - ${at(high)})` }} />
        <span class="point" style={{ left: at(middle) }} />
      </span>
      <span class="number">{fixed(middle, 2)}</span>
    </span>
  );
}
