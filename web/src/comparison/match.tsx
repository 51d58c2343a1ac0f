/** The similarity of two groups, compared with chance. */

import { plural } from "../shared/format";
import type { GroupPair, Interval } from "../shared/types";

export function Match({ pair }: { pair: GroupPair }) {
  const { neurons, by_neurons, by_crops, matched_by } = pair;
  const noBetter = matched_by !== "target" && pair.chance !== null && pair.similarity <= pair.chance[2];
  const other = matched_by === "crops" ? ["by neurons", by_neurons] : ["by crops", by_crops];
  return (
    <div class="match">
      {matched_by === "target" && <p class="quiet">the two targets</p>}
      {(matched_by !== "target" || pair.similarity > 0) && <Similarity value={pair.similarity} chance={pair.chance} />}
      {noBetter && <p class="against">within chance</p>}
      {matched_by !== "target" && other[1] !== null && (
        <p class="quiet">
          {other[0]} {Number(other[1]).toFixed(2)}
        </p>
      )}
      {neurons && matched_by !== "target" && (
        <p
          class="quiet"
          title={
            list("In both", neurons.common) + list("only in A", neurons.only_a) + list("only in B", neurons.only_b)
          }
        >
          {plural(neurons.common.length, "common neuron")}, {neurons.only_a.length} only in A, {neurons.only_b.length}{" "}
          only in B
        </p>
      )}
    </div>
  );
}

const list = (what: string, neurons: number[]): string => (neurons.length ? `${what}: ${neurons.join(", ")}. ` : "");

/** A similarity from 0 to 1, drawn over the range of chance. */
export function Similarity({ value, chance }: { value: number; chance: Interval | null }) {
  const said = chance
    ? `chance ${chance[0].toFixed(2)}, up to ${chance[2].toFixed(2)}`
    : "chance is unknown: there is only one group to match with";
  return (
    <div class="similarity" role="img" aria-label={`similarity ${value.toFixed(2)}, ${said}`} title={said}>
      <b class="number">{value.toFixed(2)}</b>
      <span class="track">
        {chance && (
          <span class="chance" style={{ left: `${chance[1] * 100}%`, width: `${(chance[2] - chance[1]) * 100}%` }} />
        )}
        <span class="dot" style={{ left: `${value * 100}%` }} />
      </span>
    </div>
  );
}
