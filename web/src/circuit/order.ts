/**
 * The order of groups within columns: barycentre sweeps. The arrangement with the fewest crossings is
 * kept, where a crossing counts as the product of the two weights.
 *
 * Groups are numbered, because looking thousands of edges up by name in each sweep takes most of the time.
 */

import type { EdgeData, LayerData } from "../shared/types";

/** What the order depends on. */
export interface Ordered {
  id: string;
  inputs: EdgeData[];
  outputs: EdgeData[];
  pathWeight: number;
}

/** The edges of a group on one side: numbers of the groups at their other ends, and absolute weights. */
interface Links {
  ends: number[];
  weights: number[];
}

interface Net {
  numbers: Map<string, number>;
  inputs: Links[];
  outputs: Links[];
}

const SWEEPS = 8;

export function order(layers: LayerData[], groups: Map<string, Ordered>, sweeps = SWEEPS): string[][] {
  const net = netOf(groups);
  const ids = [...groups.keys()];
  let columns = layers.map((layer) =>
    strongestInside(layer.groups.map((group) => groups.get(group.id)!)).map((id) => net.numbers.get(id)!),
  );
  let best = columns;
  let least = allCrossings(columns, net);
  for (let sweep = 0; sweep < sweeps && least > 0; sweep++) {
    columns = swept(columns, net, sweep % 2 === 0);
    const found = allCrossings(columns, net);
    if (found < least) [best, least] = [columns, found];
  }
  return best.map((column) => column.map((number) => ids[number]!));
}

/** Returns the sum, over all pairs of crossing edges, of the product of their absolute weights. */
export function crossings(columns: string[][], groups: Map<string, Ordered>): number {
  const net = netOf(groups);
  return allCrossings(
    columns.map((column) => column.map((id) => net.numbers.get(id)!)),
    net,
  );
}

function netOf(groups: Map<string, Ordered>): Net {
  const numbers = new Map([...groups.keys()].map((id, number) => [id, number]));
  const links = (edges: EdgeData[], end: "lower" | "upper"): Links => ({
    ends: edges.map((edge) => numbers.get(edge[end])!),
    weights: edges.map(({ weight }) => Math.abs(weight)),
  });
  const all = [...groups.values()];
  return {
    numbers,
    inputs: all.map(({ inputs }) => links(inputs, "lower")),
    outputs: all.map(({ outputs }) => links(outputs, "upper")),
  };
}

/** The strongest groups start in the middle, where people look first; edges may move them. */
function strongestInside(column: Ordered[]): string[] {
  const found: string[] = [];
  const sorted = [...column].sort((a, b) => Math.abs(b.pathWeight) - Math.abs(a.pathWeight));
  sorted.forEach(({ id }, rank) => {
    if (rank % 2) found.unshift(id);
    else found.push(id);
  });
  return found;
}

/** Sorts each column by the weighted mean place of the groups that its groups are joined to. */
function swept(columns: number[][], { inputs, outputs }: Net, fromTarget: boolean): number[][] {
  const result = [...columns];
  const place = new Float64Array(inputs.length);
  const settle = (column: number[]) => {
    for (const [row, group] of column.entries()) place[group] = (row + 0.5) / column.length;
  };
  columns.forEach(settle);
  const centre = (group: number) => {
    const { ends, weights } = (fromTarget ? outputs : inputs)[group]!;
    let [sum, weight] = [0, 0];
    for (let i = 0; i < ends.length; i++) {
      sum += place[ends[i]!]! * weights[i]!;
      weight += weights[i]!;
    }
    return weight ? sum / weight : place[group]!;
  };
  const sequence = [...columns.keys()];
  const centres = new Float64Array(inputs.length);
  for (const number of fromTarget ? sequence.reverse() : sequence) {
    for (const group of result[number]!) centres[group] = centre(group);
    result[number] = [...result[number]!].sort((a, b) => centres[a]! - centres[b]!);
    settle(result[number]);
  }
  return result;
}

function allCrossings(columns: number[][], { inputs, outputs }: Net): number {
  const row = new Int32Array(inputs.length);
  for (const column of columns) for (const [i, group] of column.entries()) row[group] = i;
  let total = 0;
  for (let number = 0; number + 1 < columns.length; number++) {
    const links = columns[number]!.map((group) => outputs[group]!);
    total += between(links, row, columns[number + 1]!.length);
  }
  return total;
}

/** Weighted inversions of the edges that leave one column, counted with a Fenwick tree. */
function between(outputs: Links[], row: Int32Array, above: number): number {
  const tree = new Float64Array(above + 1);
  let [seen, total] = [0, 0];
  for (const { ends, weights } of outputs) {
    for (let edge = 0; edge < ends.length; edge++) {
      let upTo = 0;
      for (let i = row[ends[edge]!]! + 1; i > 0; i -= i & -i) upTo += tree[i]!;
      total += weights[edge]! * Math.max(seen - upTo, 0);
    }
    for (let edge = 0; edge < ends.length; edge++) {
      const weight = weights[edge]!;
      for (let i = row[ends[edge]!]! + 1; i <= above; i += i & -i) tree[i]! += weight;
      seen += weight;
    }
  }
  return total < 1e-12 ? 0 : total;
}
