/** The strongest path between a group and the target, or the pixels. */

import type { EdgeData } from "../shared/types";
import type { Circuit } from "./circuit";

/** Which way a path leads: up to what is explained, or down to the lowest layer studied. */
export type Way = "target" | "pixels";

export interface Path {
  way: Way;
  /** from the group on */
  edges: EdgeData[];
  /** product of their weights */
  weight: number;
}

/**
 * The path whose weights have the largest product in absolute value; null if none leads there.
 *
 * The best way on from a group does not depend on how it was reached, so each group is asked once.
 */
export function strongestPath(circuit: Circuit, from: string, way: Way): Path | null {
  const known = new Map<string, Path | null>();
  const last = way === "target" ? circuit.columns.length - 1 : 0;
  const best = (id: string): Path | null => {
    if (known.has(id)) return known.get(id)!;
    const group = circuit.groups.get(id)!;
    let found: Path | null = group.layer === last ? { way, edges: [], weight: 1 } : null;
    for (const edge of way === "target" ? group.outputs : group.inputs) {
      const rest = best(way === "target" ? edge.upper : edge.lower);
      if (!rest || Math.abs(edge.weight * rest.weight) <= Math.abs(found?.weight ?? 0)) continue;
      found = { way, edges: [edge, ...rest.edges], weight: edge.weight * rest.weight };
    }
    known.set(id, found);
    return found;
  };
  return best(from);
}

/** The groups on it, in its order. */
export const stations = ({ way, edges }: Path, from: string): string[] => [
  from,
  ...edges.map((edge) => (way === "target" ? edge.upper : edge.lower)),
];

/** The group after `id` on it, for the arrow key that leads its way. */
export function along({ way, edges }: Path, id: string, key: string): string | undefined {
  if (key !== (way === "target" ? "ArrowRight" : "ArrowLeft")) return undefined;
  const edge = edges.find(({ upper, lower }) => id === (way === "target" ? lower : upper));
  return way === "target" ? edge?.upper : edge?.lower;
}
