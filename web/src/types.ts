// Generated from the Python types: make web-types

/**
 * Everything the page shows.
 */
export interface PageData {
  target: string;
  model: string;
  images: string[];
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
  members: [number, number][];
  crops: number[];
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
  completeness_error: number | null;
}
/**
 * A semantic group of a neuron.
 */
export interface MeaningData {
  group: string;
  size: number;
  mean: number;
  crops: number[];
  activations: number[];
  weights: Weights;
}
export interface Weights {
  [k: string]: number;
}
/**
 * W(G, H).
 */
export interface EdgeData {
  upper: string;
  lower: string;
  weight: number;
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
