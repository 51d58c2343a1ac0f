/** A circuit prepared for the page: inputs and outputs of each group, and its weight into the target. */

import { weightsAs } from "../shared/format";
import type { EdgeData, GroupData, LayerData, NeuronData, PageData } from "../shared/types";
import { order } from "./order";

export interface Group extends GroupData {
  layer: number;
  inputs: EdgeData[];
  outputs: EdgeData[];
  /** weight into the target: signed weights multiplied along each path, summed over all paths */
  pathWeight: number;
}

export interface Circuit {
  data: PageData;
  groups: Map<string, Group>;
  /** group ids of each layer, input side first, in the order they are drawn */
  columns: string[][];
  /** ids of the groups that the circuit stores: not those of another cut */
  stored: Set<string>;
}

const byStrength = (a: EdgeData, b: EdgeData) => Math.abs(b.weight) - Math.abs(a.weight);

export function circuitOf(data: PageData, stored: PageData = data): Circuit {
  const groups = new Map<string, Group>();
  data.layers.forEach((layer, number) => {
    for (const group of layer.groups)
      groups.set(group.id, { ...group, layer: number, inputs: [], outputs: [], pathWeight: 0 });
  });
  for (const edge of [...data.edges].sort(byStrength)) {
    groups.get(edge.upper)?.inputs.push(edge);
    groups.get(edge.lower)?.outputs.push(edge);
  }
  addReach(data.layers, groups);
  const ids = new Set(stored.layers.flatMap(({ groups }) => groups.map(({ id }) => id)));
  return { data, groups, columns: order(data.layers, groups), stored: ids };
}

/**
 * Computes the weight of each group along all paths to the target, from the target down: the sum over
 * its outputs of their own weight into the target times the edge. The groups of the target's layer
 * share 1 by their number of members.
 */
function addReach(layers: LayerData[], groups: Map<string, Group>): void {
  const last = layers.length - 1;
  const members = layers[last]?.groups.reduce((sum, group) => sum + group.members.length, 0) ?? 1;
  for (const layer of [...layers].reverse())
    for (const { id } of layer.groups) {
      const group = groups.get(id)!;
      group.pathWeight =
        group.layer === last
          ? group.members.length / members
          : group.outputs.reduce((sum, e) => sum + e.weight * groups.get(e.upper)!.pathWeight, 0);
    }
}

/** Whether an edge may have the other sign on other photographs. */
export const unsure = ({ low, high }: EdgeData): boolean => low !== null && high !== null && low <= 0 && high >= 0;

/** What drives and what holds back in an edge, where both do; otherwise null. */
export const parts = ({ positive, negative }: EdgeData, shares: boolean): string | null => {
  const write = weightsAs(shares);
  return positive && negative ? `${write(positive)} and ${write(negative)}` : null;
};

/** Returns the fewest edges that carry a share of all absolute weight, strongest first. */
export function strongest(edges: EdgeData[], share: number): { shown: EdgeData[]; carried: number } {
  const total = edges.reduce((sum, edge) => sum + Math.abs(edge.weight), 0);
  const shown: EdgeData[] = [];
  let sum = 0;
  for (const edge of [...edges].sort(byStrength)) {
    if (sum >= share * total - 1e-12 && share < 1) break;
    shown.push(edge);
    sum += Math.abs(edge.weight);
  }
  return { shown, carried: total ? sum / total : 1 };
}

/** Returns the group with the largest absolute weight into the target. */
export function best(circuit: Circuit, found: Iterable<string>): string | undefined {
  let [first, most]: [string | undefined, number] = [undefined, -1];
  for (const id of found) {
    const weight = Math.abs(circuit.groups.get(id)!.pathWeight);
    if (weight > most) [first, most] = [id, weight];
  }
  return first;
}

/** A share that reads 0.0 %. */
const NOTHING = 0.0005;

/**
 * Returns the group with most weight into the target of each layer, from the target's layer (excluded) down.
 * Layers in which no group has a weight worth the name are left out.
 */
export function leaders(circuit: Circuit): Group[] {
  return circuit.columns
    .slice(0, -1)
    .reverse()
    .flatMap((column) => {
      const first = best(circuit, column);
      const group = first && circuit.groups.get(first);
      return group && Math.abs(group.pathWeight) >= NOTHING ? [group] : [];
    });
}

/** Returns the group that an arrow key leads to: left and right along the strongest edge, up and down the column. */
export function step(circuit: Circuit, id: string, key: string): string | undefined {
  const group = circuit.groups.get(id);
  if (!group) return undefined;
  const column = circuit.columns[group.layer]!;
  const row = column.indexOf(id);
  if (key === "ArrowLeft") return group.inputs[0]?.lower;
  if (key === "ArrowRight") return group.outputs[0]?.upper;
  if (key === "ArrowUp") return column[row - 1];
  if (key === "ArrowDown") return column[row + 1];
  return undefined;
}

export function neuronOf(circuit: Circuit, layer: number, index: number): NeuronData | undefined {
  return circuit.data.layers[layer]?.neurons[String(index)];
}

/** Returns mean and worst score error of a layer's neurons: the distance from integrated gradients. */
export function scoreError(layer: LayerData): { mean: number; worst: number } | null {
  const errors = Object.values(layer.neurons)
    .map((neuron) => neuron.score_error)
    .filter((error) => error !== null);
  if (!errors.length) return null;
  return { mean: errors.reduce((a, b) => a + b, 0) / errors.length, worst: Math.max(...errors) };
}
