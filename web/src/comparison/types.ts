// Generated from the Python types: make web-types

/**
 * @minItems 3
 * @maxItems 3
 */
export type Interval = [number, number, number];

/**
 * Everything the page of two circuits shows.
 */
export interface ComparisonPageData {
  kind?: "comparison";
  a: ComparedSide;
  b: ComparedSide;
  comparison: Comparison;
  pictures: string[];
}
/**
 * One of the circuits.
 */
export interface ComparedSide {
  name: string;
  crops: number;
  groups: Groups;
}
export interface Groups {
  [k: string]: ComparedGroup;
}
/**
 * A group of one of the circuits, as it is known by.
 */
export interface ComparedGroup {
  label: string | null;
  caption: string | null;
  doubt: string | null;
  neurons: number[];
  pictures: number[];
  inputs: InputData[];
}
/**
 * What drives a group that has no counterpart.
 */
export interface InputData {
  lower: string;
  weight: number;
}
/**
 * What two circuits share and what only one of them has.
 */
export interface Comparison {
  a: Side;
  b: Side;
  by: "neurons" | "crops";
  reason: string;
  threshold: number;
  draws: number;
  seed: number;
  images: number;
  layers: LayerComparison[];
  notes?: string[];
}
/**
 * One of the two circuits.
 */
export interface Side {
  model: ModelInfo;
  target: Target;
  images: number;
  only: string[];
}
/**
 * What was explained: enough to load the same model again and to notice another one.
 */
export interface ModelInfo {
  reference: string;
  weights?: string | null;
  digest: string;
  /**
   * @minItems 3
   * @maxItems 3
   */
  input_size: [number, number, number];
  options?: LoadOptions;
}
/**
 * Options of ``load_model`` that a model was loaded with: plain data, no path and no code.
 */
export interface LoadOptions {
  mean?: number | number[] | null;
  std?: number | number[] | null;
  resize?: number | null;
  input_size?: number | [number, number] | null;
  output?: string | null;
  allow_chance?: boolean | null;
  classes_as_text?: boolean | null;
}
/**
 * What the circuit explains: a class, a neuron, or the difference of two classes.
 */
export interface Target {
  layer: string;
  neuron: number;
  minus?: number | null;
  name: string;
}
/**
 * One layer that both circuits have.
 */
export interface LayerComparison {
  name: string;
  /**
   * @minItems 2
   * @maxItems 2
   */
  groups: [number, number];
  shared: number;
  pairs: GroupPair[];
  only_a: Unmatched[];
  only_b: Unmatched[];
  similarity: number | null;
  edges: EdgePair[];
  correlation: number | null;
  /**
   * @minItems 2
   * @maxItems 2
   */
  carried: [number | null, number | null];
}
/**
 * A group of A and the group of B that it is matched with.
 */
export interface GroupPair {
  a: string;
  b: string;
  matched_by: "neurons" | "crops" | "target";
  similarity: number;
  chance: Interval | null;
  by_neurons: number | null;
  by_crops: number | null;
  neurons: NeuronOverlap | null;
}
/**
 * The neurons of two groups.
 */
export interface NeuronOverlap {
  common: number[];
  only_a: number[];
  only_b: number[];
}
/**
 * A group without a counterpart.
 */
export interface Unmatched {
  id: string;
  nearest: string;
  similarity: number;
  chance: Interval | null;
}
/**
 * W(G, H) between groups that both circuits have.
 */
export interface EdgePair {
  /**
   * @minItems 2
   * @maxItems 2
   */
  upper: [string, string];
  /**
   * @minItems 2
   * @maxItems 2
   */
  lower: [string, string];
  weight_a: number | null;
  weight_b: number | null;
  change: number;
}
