/**
 * The order of groups within columns: barycentre sweeps. The arrangement with the fewest crossings is
 * kept, where a crossing counts as the product of the two weights.
 */

import type { EdgeData, LayerData } from "../shared/types";

/** What the order depends on. */
export interface Ordered {
  id: string;
  inputs: EdgeData[];
  outputs: EdgeData[];
  reach: number;
}

const SWEEPS = 8;

export function order(layers: LayerData[], groups: Map<string, Ordered>, sweeps = SWEEPS): string[][] {
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

/** The strongest groups start in the middle, where people look first; edges may move them. */
function strongestInside(column: Ordered[]): string[] {
  const found: string[] = [];
  const sorted = [...column].sort((a, b) => Math.abs(b.reach) - Math.abs(a.reach));
  sorted.forEach(({ id }, rank) => {
    if (rank % 2) found.unshift(id);
    else found.push(id);
  });
  return found;
}

/** Sorts each column by the weighted mean place of the groups that its groups are joined to. */
function swept(columns: string[][], groups: Map<string, Ordered>, fromTarget: boolean): string[][] {
  const result = [...columns];
  const place = new Map<string, number>();
  const settle = (column: string[]) => {
    for (const [row, id] of column.entries()) place.set(id, (row + 0.5) / column.length);
  };
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

/** Returns the sum, over all pairs of crossing edges, of the product of their absolute weights. */
export function crossings(columns: string[][], groups: Map<string, Ordered>): number {
  const row = new Map(columns.flatMap((column) => column.map((id, i) => [id, i] as const)));
  return columns.reduce((total, column, number) => {
    const above = columns[number + 1]?.length ?? 0;
    return (
      total +
      (above
        ? between(
            column.map((id) => groups.get(id)!.outputs),
            row,
            above,
          )
        : 0)
    );
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
