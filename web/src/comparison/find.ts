/** The part of a comparison that is shown, and the inputs of a pair of groups. */

import { partOf } from "../shared/format";
import type { ComparedGroup, ComparisonPageData, GroupPair, LayerComparison, Unmatched } from "../shared/types";

export type Kind = "all" | "shared" | "a" | "b";
export type SideName = "a" | "b";

/** Returns the name of a group: its label, the target for a group of the target, or its number. */
export function titleOf(data: ComparisonPageData, side: SideName, id: string): string {
  const [layer, number] = [id.slice(0, id.lastIndexOf("/")), id.slice(id.lastIndexOf("/") + 1)];
  const { target } = data.comparison[side];
  const { groups } = data[side];
  if (groups[id]?.label || layer !== target.layer) return groups[id]?.label ?? `Group ${number}`;
  const parts = Object.keys(groups).filter((other) => other.startsWith(`${layer}/`));
  return partOf(target.name, parts.indexOf(id), parts.length);
}

export interface ShownLayer {
  layer: LayerComparison;
  pairs: GroupPair[];
  a: Unmatched[];
  b: Unmatched[];
}

/** Returns the layers from the target down with the groups that pass filter and search; empty layers are left out. */
export function select(data: ComparisonPageData, kind: Kind, query: string): ShownLayer[] {
  const hit = (side: SideName, id: string) => matches(id, data[side].groups[id], query);
  return data.comparison.layers
    .toReversed()
    .map((layer) => ({
      layer,
      pairs: kind === "a" || kind === "b" ? [] : layer.pairs.filter((pair) => hit("a", pair.a) || hit("b", pair.b)),
      a: kind === "all" || kind === "a" ? layer.only_a.filter((one) => hit("a", one.id)) : [],
      b: kind === "all" || kind === "b" ? layer.only_b.filter((one) => hit("b", one.id)) : [],
    }))
    .filter(({ pairs, a, b }) => pairs.length + a.length + b.length > 0);
}

/** Matches id, label and caption; a number matches the groups with that neuron. */
export function matches(id: string, group: ComparedGroup | undefined, query: string): boolean {
  const wanted = query.trim().toLowerCase();
  if (!wanted) return true;
  if (/^\d+$/.test(wanted)) return group?.neurons.includes(Number(wanted)) ?? false;
  return [id, group?.label, group?.caption].some((text) => text?.toLowerCase().includes(wanted));
}

export const count = (data: ComparisonPageData): Record<Kind, number> => {
  const sum = (of: (layer: LayerComparison) => number) => data.comparison.layers.reduce((n, layer) => n + of(layer), 0);
  const [shared, a, b] = [sum((l) => l.pairs.length), sum((l) => l.only_a.length), sum((l) => l.only_b.length)];
  return { all: shared + a + b, shared, a, b };
};

/** A group of the layer below, or a matched pair of groups, with its weights. */
export interface Input {
  a: string | null;
  b: string | null;
  /** null: no edge */
  weightA: number | null;
  weightB: number | null;
}

/** Returns the inputs of a pair, strongest first: shared groups with both weights, and groups of one circuit alone. */
export function inputsOf(data: ComparisonPageData, layer: LayerComparison, pair: GroupPair): Input[] {
  const matched = layer.edges
    .filter(({ upper }) => upper[0] === pair.a)
    .map(({ lower, weight_a, weight_b }) => ({ a: lower[0], b: lower[1], weightA: weight_a, weightB: weight_b }));
  const taken = { a: new Set(matched.map(({ a }) => a)), b: new Set(matched.map(({ b }) => b)) };
  const alone = (side: SideName): Input[] =>
    (data[side].groups[pair[side]]?.inputs ?? [])
      .filter(({ lower }) => !taken[side].has(lower))
      .map(({ lower, weight }) =>
        side === "a"
          ? { a: lower, b: null, weightA: weight, weightB: null }
          : { a: null, b: lower, weightA: null, weightB: weight },
      );
  return [...matched, ...alone("a"), ...alone("b")].sort((one, other) => sizeOf(other) - sizeOf(one));
}

/** The larger weight of an input. */
export const sizeOf = ({ weightA, weightB }: Input): number => Math.max(Math.abs(weightA ?? 0), Math.abs(weightB ?? 0));
