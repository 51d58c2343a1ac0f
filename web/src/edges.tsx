/** Signed edges as curves: width by weight, colour and dashes by sign. */

import { useMemo } from "preact/hooks";
import type { Circuit } from "./circuit";
import { signed } from "./format";
import { curve, thickness, type Layout } from "./layout";
import type { EdgeData } from "./types";
import { isLarge, passes, type Window } from "./window";

/** Widths told apart where many edges are drawn as one path. */
const WIDTHS = 6;

interface EdgesProps {
  circuit: Circuit;
  plan: Layout;
  shown: EdgeData[];
  /** group whose edges stand out, whatever the threshold */
  focus: string | null;
  /** what of the drawing is drawn; null: all */
  drawn: Window | null;
}

export function Edges({ circuit, plan, shown, focus, drawn }: EdgesProps) {
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
  const all = useMemo(() => {
    if (!isLarge(plan)) return [...shown].reverse().map(draw);
    const inView = shown.filter(
      (edge) => drawn && passes(drawn, plan.places.get(edge.lower)!, plan.places.get(edge.upper)!, plan.card),
    );
    return bundles(inView, plan, largest);
  }, [shown, plan, drawn]);
  const group = focus ? circuit.groups.get(focus) : undefined;
  const own = group ? [...group.inputs, ...group.outputs].reverse() : [];
  return (
    <svg class="edges" width={plan.width} height={plan.height} aria-hidden="true">
      <g class={group ? "all faded" : "all"}>{all}</g>
      <g class="own">{own.map(draw)}</g>
    </svg>
  );
}

/** Many edges as few paths, one for each sign and width: thousands of elements would be slow to paint. */
function bundles(edges: EdgeData[], plan: Layout, largest: number) {
  const found = new Map<string, EdgeData[]>();
  for (const edge of edges) {
    const width = Math.ceil((WIDTHS * Math.abs(edge.weight)) / Math.max(largest, 1e-9));
    const key = `${width} ${edge.weight < 0 ? "against" : "for"}`;
    const some = found.get(key);
    if (some) some.push(edge);
    else found.set(key, [edge]);
  }
  return [...found].sort().map(([key, some]) => (
    <path
      key={key}
      class={`edge bundle ${key.split(" ")[1]}`}
      d={some.map((edge) => curve(plan.places.get(edge.lower)!, plan.places.get(edge.upper)!, plan.card)).join("")}
      stroke-width={thickness((Number(key.split(" ")[0]) / WIDTHS) * largest, largest)}
      data-edges={some.length}
    />
  ));
}
