/** Signed edges as curves: width by weight, colour and dashes by sign. */

import { useMemo } from "preact/hooks";
import type { Circuit } from "./circuit";
import { signed } from "./format";
import { curve, thickness, type Layout } from "./layout";
import type { EdgeData } from "./types";

interface EdgesProps {
  circuit: Circuit;
  plan: Layout;
  shown: EdgeData[];
  /** group whose edges stand out, whatever the threshold */
  focus: string | null;
}

export function Edges({ circuit, plan, shown, focus }: EdgesProps) {
  const largest = useMemo(
    () => circuit.data.edges.reduce((most, edge) => Math.max(most, Math.abs(edge.weight)), 0),
    [circuit],
  );
  const draw = (edge: EdgeData) => (
    <path
      key={`${edge.lower}>${edge.upper}`}
      class={`edge ${edge.weight < 0 ? "against" : "for"}`}
      d={curve(plan.places.get(edge.lower)!, plan.places.get(edge.upper)!, plan.card)}
      stroke-width={thickness(edge.weight, largest)}
      data-weight={edge.weight}
    >
      <title>{`${edge.lower} → ${edge.upper}: ${signed(edge.weight)}`}</title>
    </path>
  );
  // drawn once for a threshold: hovering touches only the few edges on top; weakest first, below
  const all = useMemo(() => [...shown].reverse().map(draw), [shown, plan]);
  const group = focus ? circuit.groups.get(focus) : undefined;
  const own = group ? [...group.inputs, ...group.outputs].reverse() : [];
  return (
    <svg class="edges" width={plan.width} height={plan.height} aria-hidden="true">
      <g class={group ? "all faded" : "all"}>{all}</g>
      <g class="own">{own.map(draw)}</g>
    </svg>
  );
}
