/** How strongly a group responds to whole pictures: those it was found on, others, and those that are tried. */

import type { ComponentChildren } from "preact";
import { fixed, plural } from "../shared/format";

export interface ScoreRow {
  name: string;
  scores: number[];
}

interface ScoresProps {
  rows: ScoreRow[];
  /** from where on the group fires */
  threshold?: number | undefined;
  children?: ComponentChildren;
}

/** Larger scores are drawn at the end of the line. */
const END = 2;

export function Scores({ rows, threshold, children }: ScoresProps) {
  const at = (score: number) => ({ left: `${(Math.min(Math.max(score / END, 0), 1) * 100).toFixed(1)}%` });
  return (
    <section aria-label="Scores">
      <h3>
        Scores{" "}
        <small>
          a dot for each picture, from 0 to {END}; 1 is usual on the group's own crops
          {threshold !== undefined && "; the line: where it begins to fire"}
        </small>
      </h3>
      <dl class="scores">
        {rows.map(({ name, scores }) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>
              <span role="img" aria-label={inWords(scores)} title={inWords(scores)}>
                {scores.map((score, i) => (
                  <i key={i} style={at(score)} />
                ))}
                {threshold !== undefined && <b style={at(threshold)} />}
              </span>
            </dd>
          </div>
        ))}
      </dl>
      {children}
    </section>
  );
}

function inWords(scores: number[]): string {
  const sorted = [...scores].sort((a, b) => a - b);
  const [least, median, most] = [0, (sorted.length - 1) >> 1, sorted.length - 1].map((i) => fixed(sorted[i]!, 2));
  return sorted.length > 1
    ? `${plural(sorted.length, "picture")}, from ${least} to ${most}, median ${median}`
    : String(most);
}
