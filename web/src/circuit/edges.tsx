/** Signed edges as curves: width by weight, colour and dashes by sign, faded where the sign is unsure. */

import { useMemo } from "preact/hooks";
import { percent, weightsAs } from "../shared/format";
import type { EdgeData } from "../shared/types";
import { type Circuit, parts, unsure } from "./circuit";
import { curve, type Layout, largestOf, thickness } from "./layout";
import { isLarge } from "./window";

interface EdgesProps {
  circuit: Circuit;
  plan: Layout;
  shown: EdgeData[];
  /** edges that stand out, whatever the threshold */
  raised: EdgeData[];
}

/** All edges that carry the chosen share of the weight, unless a canvas has them, and above the veil those that stand out. */
export function Edges({ circuit, plan, shown, raised }: EdgesProps) {
  const largest = useMemo(() => largestOf(circuit.data.edges), [circuit]);
  const draw = (edge: EdgeData) => (
    <path
      key={`${edge.lower}>${edge.upper}`}
      class={`edge ${edge.weight < 0 ? "against" : "for"}${unsure(edge) ? " unsure" : ""}`}
      d={curve(plan.places.get(edge.lower)!, plan.places.get(edge.upper)!, plan.card)}
      stroke-width={thickness(edge.weight, largest)}
      data-weight={edge.weight}
    >
      <title>{about(edge, circuit.data.shares)}</title>
    </path>
  );
  // drawn once for a threshold: hovering touches only the few edges on top; weakest first, below
  const all = useMemo(() => (isLarge(plan) ? null : [...shown].reverse().map(draw)), [shown, plan]);
  return (
    <>
      {all && (
        <svg class="edges all" width={plan.width} height={plan.height} aria-hidden="true">
          {all}
        </svg>
      )}
      <svg class="edges own" width={plan.width} height={plan.height} aria-hidden="true">
        {[...raised].reverse().map(draw)}
      </svg>
    </>
  );
}

/** What is known of an edge, in a line. */
export function about(edge: EdgeData, shares: boolean): string {
  const write = weightsAs(shares);
  const both = parts(edge, shares);
  const split = both ? ` (${both})` : "";
  const range = edge.low === null ? "" : `, 95 % from ${write(edge.low)} to ${write(edge.high!)}`;
  const tested = edge.significance === null ? "" : `, p = ${edge.significance.toPrecision(2)}`;
  const found = edge.stability === null ? "" : `, found in ${percent(edge.stability)} of resamples`;
  return `${edge.lower} → ${edge.upper}: ${write(edge.weight)}${split}${range}${tested}${found}`;
}
