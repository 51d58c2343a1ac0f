/**
 * The order of groups within columns: barycentre sweeps, from which the arrangement is kept whose
 * edges cross least, a crossing counting as the product of the two weights.
 */

import type { Group } from "./circuit";
import type { EdgeData, LayerData } from "./types";

const SWEEPS = 8;

export function order(layers: LayerData[], groups: Map<string, Group>, sweeps = SWEEPS): string[][] {
  let columns = layers.map((layer) => strongestInside(layer.groups.map((group) => groups.get(group.id)!)));
  let best = columns;
  let least = crossings(columns, groups);
  for (let sweep = 0; sweep < sweeps && least > 0; sweep++) {
    columns = swept(columns, groups, sweep % 2 === 0);
    const found = crossings(columns, groups);
    if (found < least) [best, least] = [columns, found];
  }
  return best;
}

/** Where edges leave the choice, the strongest stand in the middle, where people look first. */
function strongestInside(column: Group[]): string[] {
  const found: string[] = [];
  const sorted = [...column].sort((a, b) => Math.abs(b.reach) - Math.abs(a.reach));
  sorted.forEach(({ id }, rank) => (rank % 2 ? found.unshift(id) : found.push(id)));
  return found;
}

/** Each column sorted by the weighted mean place of what its groups are joined to. */
function swept(columns: string[][], groups: Map<string, Group>, fromTarget: boolean): string[][] {
  const result = [...columns];
  const place = new Map<string, number>();
  const settle = (column: string[]) => column.forEach((id, row) => place.set(id, (row + 0.5) / column.length));
  columns.forEach(settle);
  const centre = (id: string) => {
    const group = groups.get(id)!;
    const edges = fromTarget ? group.outputs : group.inputs;
    let [sum, weight] = [0, 0];
    for (const edge of edges) {
      sum += place.get(fromTarget ? edge.upper : edge.lower)! * Math.abs(edge.weight);
      weight += Math.abs(edge.weight);
    }
    return weight ? sum / weight : place.get(id)!;
  };
  const sequence = [...columns.keys()];
  for (const number of fromTarget ? sequence.reverse() : sequence) {
    const centres = new Map(result[number]!.map((id) => [id, centre(id)]));
    result[number] = [...result[number]!].sort((a, b) => centres.get(a)! - centres.get(b)!);
    settle(result[number]);
  }
  return result;
}

/** Sum over all pairs of crossing edges of the product of their absolute weights. */
export function crossings(columns: string[][], groups: Map<string, Group>): number {
  const row = new Map(columns.flatMap((column) => column.map((id, i) => [id, i] as const)));
  return columns.reduce((total, column, number) => {
    const above = columns[number + 1]?.length ?? 0;
    return total + (above ? between(column.map((id) => groups.get(id)!.outputs), row, above) : 0);
  }, 0);
}

/** Weighted inversions of the edges that leave one column, counted with a Fenwick tree. */
function between(outputs: EdgeData[][], row: Map<string, number>, above: number): number {
  const tree = new Float64Array(above + 1);
  let [seen, total] = [0, 0];
  for (const edges of outputs) {
    for (const edge of edges) {
      let upTo = 0;
      for (let i = row.get(edge.upper)! + 1; i > 0; i -= i & -i) upTo += tree[i]!;
      total += Math.abs(edge.weight) * Math.max(seen - upTo, 0);
    }
    for (const edge of edges) {
      const weight = Math.abs(edge.weight);
      for (let i = row.get(edge.upper)! + 1; i <= above; i += i & -i) tree[i]! += weight;
      seen += weight;
    }
  }
  return total < 1e-12 ? 0 : total;
}
