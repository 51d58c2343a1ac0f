// Generated from the Python types: make web-types

/**
 * @minItems 3
 * @maxItems 3
 */
export type Interval = [number, number, number];

/**
 * Everything the page shows.
 */
export interface PageData {
  target: string;
  model: string;
  images: string[];
  /**
   * @minItems 2
   * @maxItems 2
   */
  side: [number, number];
  skipped: [string, string][];
  notes: string[];
  crop_count: number;
  tau: number;
  k: number;
  steps: number | "auto";
  shares: boolean;
  layers: LayerData[];
  edges: EdgeData[];
  crops: CropData[];
  pictures: string[];
}
/**
 * A layer with its groups and neurons.
 */
export interface LayerData {
  name: string;
  groups: GroupData[];
  neurons: Neurons;
}
/**
 * A neuron group.
 */
export interface GroupData {
  id: string;
  label: string | null;
  caption: string | null;
  evidence: EvidenceData | null;
  members: [number, number][];
  crops: number[];
  sights: SightData[];
  stability: Interval | null;
}
/**
 * What stands behind a group's label.
 */
export interface EvidenceData {
  source: string;
  author: string;
  time: string;
  pinned: boolean;
  confidence: number | null;
  features: string[];
  combination: string | null;
  words: [string, number][];
  validation: Validation | null;
  concept: ConceptCheck | null;
  doubt: string | null;
}
/**
 * How well a judge who reads the label alone finds the group's unseen crops among others.
 *
 * As many others as crops of the group, so that an answer which is the same for all of them is
 * right half the time.
 */
export interface Validation {
  judge: string;
  held_out: number;
  random: number;
  hard: number;
  accuracy: Interval;
  auprc: Interval;
  chance: Interval;
  found: number;
  random_rejected: number | null;
  hard_rejected: number | null;
  constant?: Constant | null;
}
/**
 * What the same judge does on the same crops with a text that is the same for every group.
 */
export interface Constant {
  text: string;
  accuracy: Interval;
  auprc: Interval;
  gain: Interval;
}
/**
 * Do the group's neurons answer to pictures of what the label names (CoSy)?
 */
export interface ConceptCheck {
  concept: string;
  auc: Interval;
  rank: number;
  concepts: number;
  best: string;
}
/**
 * An image that a group is shown on.
 */
export interface SightData {
  image: number;
  picture: number;
  boxes: [number, number, number, number][];
  heat: [number, number, string] | null;
}
export interface Neurons {
  [k: string]: NeuronData;
}
/**
 * A neuron with its meanings.
 */
export interface NeuronData {
  index: number;
  strongest: number;
  weakest: number;
  meanings: MeaningData[];
  steps: number | null;
  rule: string | null;
  score_error: number | null;
  completeness_error: number | null;
  histogram: HistogramData | null;
}
/**
 * A semantic group of a neuron.
 */
export interface MeaningData {
  group: string;
  size: number;
  mean: number;
  least: number;
  crops: number[];
  activations: number[];
  weights: Weights;
}
export interface Weights {
  [k: string]: number;
}
/**
 * How often a neuron's activations on the concept set's crops lie where.
 */
export interface HistogramData {
  low: number;
  high: number;
  counts: number[];
}
/**
 * W(G, H).
 */
export interface EdgeData {
  upper: string;
  lower: string;
  weight: number;
  significance: number | null;
  stability: number | null;
}
/**
 * A crop, with its picture if it is an exemplar.
 */
export interface CropData {
  image: number;
  /**
   * @minItems 4
   * @maxItems 4
   */
  box: [number, number, number, number];
  picture: number | null;
}
