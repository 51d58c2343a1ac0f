// Generated from the Python types: make web-types

/**
 * @minItems 3
 * @maxItems 3
 */
export type Interval = [number, number, number];
/**
 * @minItems 2
 * @maxItems 2
 */
export type ScoredBox = [[number, number, number, number], number];
/**
 * @minItems 2
 * @maxItems 2
 */
export type Member = [number, number];

/**
 * Everything that the front end reads and sends: the root of the schema.
 */
export interface FrontEnd {
  circuit: PageData;
  debug: DebugPageData;
  comparison: ComparisonPageData;
  atlas: AtlasPageData;
  live: Messages;
}
/**
 * Everything the page of a circuit shows.
 */
export interface PageData {
  kind: "circuit";
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
  aggregation: "sum" | "mean";
  sharing: "conserving" | "published";
  group_columns: ColumnData[];
  layers: LayerData[];
  edges: EdgeData[];
  spreads: SpreadData[];
  crops: CropData[];
  pictures: string[];
}
/**
 * A column of the table of groups; see ``GroupColumn``.
 */
export interface ColumnData {
  key: string;
  title: string;
  about: string;
  form: "count" | "number" | "share";
}
/**
 * A layer with its groups and neurons.
 */
export interface LayerData {
  name: string;
  groups: GroupData[];
  neurons: {
    [k: string]: NeuronData;
  };
  note: string | null;
  tree: TreeData | null;
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
  returns: number | null;
  figures: {
    [k: string]: number;
  };
  measured: boolean;
  scores: number[];
}
/**
 * The evidence for a group's label.
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
 * How well a judge who reads only the label finds the group's unseen crops among others.
 *
 * Crops are weighted by how many they were drawn from, so that the group's share equals its share
 * among the exemplars of the circuit.
 */
export interface Validation {
  judge: string;
  held_out: number;
  random: number;
  hard: number;
  share?: number | null;
  auprc: Interval;
  chance: Interval;
  found: number;
  random_rejected: number | null;
  hard_rejected: number | null;
  constant?: Constant | null;
  others?: Rivals | null;
  nonsense?: Rivals | null;
}
/**
 * The result of the same judge on the same crops with one text that is used for every group.
 */
export interface Constant {
  text: string;
  auprc: Interval;
  gain: Interval;
}
/**
 * The results of the same judge on the same crops with other texts.
 */
export interface Rivals {
  count: number;
  as_good: number;
  best: string;
  auprc: number;
}
/**
 * Whether the group's neurons respond to pictures of the concept that the label names (CoSy).
 */
export interface ConceptCheck {
  concept: string;
  auprc: Interval;
  share: number;
  rank: number;
  concepts: number;
  best: string;
}
/**
 * An image with the group's crops on it.
 */
export interface SightData {
  image: number;
  picture: number;
  boxes: [number, number, number, number][];
  heat: [number, number, string] | null;
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
  cancellation: number | null;
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
  weights: {
    [k: string]: number;
  };
  shares: {
    [k: string]: number[];
  };
}
/**
 * Histogram of a neuron's activations on the concept set's crops.
 */
export interface HistogramData {
  low: number;
  high: number;
  counts: number[];
}
/**
 * The tree of a layer's pairs; see ``GroupTree``.
 */
export interface TreeData {
  members: [number, number][];
  merges: [number, number][];
  numbers: number[];
  returns: (number | null)[];
  agreement: number[];
  crops: number[][];
}
/**
 * W(G, H).
 */
export interface EdgeData {
  upper: string;
  lower: string;
  weight: number;
  positive: number | null;
  negative: number | null;
  low: number | null;
  high: number | null;
  significance: number | null;
  stability: number | null;
}
/**
 * 95 % intervals of the weights between branches of two neighbouring layers' trees.
 */
export interface SpreadData {
  upper: string;
  above: number[];
  below: number[];
  low: number[];
  high: number[];
}
/**
 * A crop, with its picture if there is one.
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
/**
 * Everything a debug page shows.
 */
export interface DebugPageData {
  kind: "debug";
  target: string;
  model: string;
  shares: boolean;
  groups: {
    [k: string]: ExemplarData;
  };
  pictures: ShownPicture[];
  report: DebugReport | null;
  audit: AuditReport | null;
}
/**
 * A group of the circuit: its name and its first crops.
 */
export interface ExemplarData {
  id: string;
  layer: string;
  label: string | null;
  neurons: number;
  pictures: string[];
}
/**
 * A picture with the report on it.
 */
export interface ShownPicture {
  picture: string;
  /**
   * @minItems 2
   * @maxItems 2
   */
  size: [number, number];
  report: PictureReport;
}
/**
 * The explanation of one picture's prediction.
 */
export interface PictureReport {
  name: string;
  label?: string | null;
  top: Prediction[];
  target: number;
  groups: GroupReading[];
}
/**
 * A class with its logit and probability.
 */
export interface Prediction {
  index: number;
  name: string;
  logit: number;
  probability: number | null;
}
/**
 * The response of a group to one picture.
 */
export interface GroupReading {
  id: string;
  score: number;
  threshold: number;
  fires: boolean;
  usual: number;
  percentile: number;
  unlike: number;
  reach: number;
  missing: boolean;
  crops: ScoredBox[];
  heat?: number[][];
  chain?: string[];
}
/**
 * The result of ``neurflow.debug``.
 */
export interface DebugReport {
  model: ModelInfo;
  target: Target;
  pictures: PictureReport[];
  what_if?: WhatIf | null;
  mistakes?: Mistakes | null;
  skipped?: SkippedImage[];
  notes?: string[];
}
/**
 * Description of a model, from which it can be loaded again and told from another model.
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
  answers?: number[];
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
 * The target of a circuit: a class, a neuron, or the difference of two classes.
 */
export interface Target {
  layer: string;
  neuron: number;
  minus?: number | null;
  name: string;
}
/**
 * The effect of a change: the pictures before and after.
 */
export interface WhatIf {
  change: Change;
  effects: Effect[];
  crops: CropEffect[];
  overall: Overall | null;
  draws: number;
  matched: number | null;
  seed: number;
}
/**
 * A change of the network.
 */
export interface Change {
  groups: string[];
  neurons: {
    [k: string]: number[];
  };
  keep: boolean;
  by: ("zero" | "mean") | number;
}
/**
 * One picture before and after the change.
 */
export interface Effect {
  name: string;
  label?: string | null;
  before: Prediction[];
  after: Prediction[];
  target_before: number;
  target_after: number;
  random?: Interval | null;
}
/**
 * One crop before and after the change.
 */
export interface CropEffect {
  name: string;
  /**
   * @minItems 4
   * @maxItems 4
   */
  box: [number, number, number, number];
  before: number;
  after: number;
}
/**
 * The change over a set of pictures.
 */
export interface Overall {
  pictures: number;
  labelled: number;
  accuracy_before: number | null;
  accuracy_after: number | null;
  accuracy_random: Interval | null;
  change: number;
  change_random: Interval | null;
  flips: string[];
}
/**
 * The mistakes of one class.
 */
export interface Mistakes {
  right: number;
  missed: Mistake[];
  taken: Mistake[];
  missed_for: {
    [k: string]: number;
  };
  why_missed: GroupContrast[];
  why_taken: GroupContrast[];
}
/**
 * A false negative or false positive, and its most unusual groups.
 */
export interface Mistake {
  name: string;
  label: string;
  predicted: string;
  groups: GroupReading[];
}
/**
 * How often a group fires on mistakes of one kind and on correctly classified pictures.
 */
export interface GroupContrast {
  id: string;
  reach: number;
  on_mistakes: Interval;
  on_others: Interval;
  evidence: number;
}
/**
 * An image that could not be used, with the reason.
 */
export interface SkippedImage {
  name: string;
  reason: string;
}
/**
 * The result of ``neurflow.audit``: groups ranked by the evidence that they are shortcuts.
 */
export interface AuditReport {
  model: ModelInfo;
  target: Target;
  pictures: number;
  of_class: number;
  false_positives: number;
  groups: GroupAudit[];
  skipped?: SkippedImage[];
  notes?: string[];
}
/**
 * One group of the ranking.
 */
export interface GroupAudit {
  id: string;
  rank: number;
  evidence: number;
  by: "zero" | "mean";
  signals: Signals;
}
/**
 * Evidence that a group is a shortcut, with 95 % intervals; None if it cannot be measured.
 */
export interface Signals {
  raises: Interval;
  mends: Interval;
  fixes: Interval | null;
  cost: Interval | null;
  fixed: Interval | null;
  apart: Interval | null;
}
/**
 * Everything the page of two circuits shows.
 */
export interface ComparisonPageData {
  kind: "comparison";
  a: ComparedSide;
  b: ComparedSide;
  comparison: Comparison;
  shares: boolean;
  pictures: string[];
}
/**
 * One of the circuits.
 */
export interface ComparedSide {
  name: string;
  model: string;
  crops: number;
  groups: {
    [k: string]: ComparedGroup;
  };
}
/**
 * A group of one of the circuits.
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
 * An input of a group without a counterpart.
 */
export interface InputData {
  lower: string;
  weight: number;
}
/**
 * The result of ``neurflow.compare``.
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
 * W(G, H) between matched groups, in both circuits.
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
/**
 * Everything the page shows.
 */
export interface AtlasPageData {
  kind: "atlas";
  model: string;
  sweep: string;
  links: "files" | "served" | "none";
  classes: ClassData[];
  kept: number | null;
  neighbours: number;
  shares: boolean;
  same: {
    [k: string]: number;
  };
  shortcuts: ShortcutData[];
  pictures: string[];
}
/**
 * A class: a target with its circuit.
 */
export interface ClassData {
  circuit: string;
  target: string;
  images: number;
  crops: number;
  neurons: number;
  groups: number;
  edges: number;
  x: number;
  y: number;
  own: string | null;
  portrait: [string, number][];
  nearest: [number, number][];
  shared: SharedGroups[];
  shown: {
    [k: string]: ShownGroup;
  };
}
/**
 * A group, and the one of another class that is most like it.
 */
export interface SharedGroups {
  other: number;
  by: "neurons" | "crops";
  layer: string;
  group: string;
  match: string;
  similarity: number;
}
/**
 * A group that the page names somewhere.
 */
export interface ShownGroup {
  label: string | null;
  pictures: number[];
}
/**
 * A group whose crops lie in one place of their pictures.
 */
export interface ShortcutData {
  circuit: number;
  group: string;
  spread: number;
  weight: number;
  pictures: number;
}
/**
 * All messages: the root that the front end's types are generated from.
 */
export interface Messages {
  problem: Problem;
  status: Status;
  sample: Sample;
  picture: LivePicture;
  mask: MaskRequest;
  what_if: WhatIf;
  why: EffectsRequest;
  effects: Effects;
  findings: Findings;
  neuron_maps: NeuronMaps;
  audit: AuditState;
  name: LabelRequest;
  named: LabelReply;
  edit: MergeRequest | SplitRequest | BackRequest;
  edits: Edits;
}
/**
 * The reason why a request was refused or failed.
 */
export interface Problem {
  error: string;
}
/**
 * Whether the model is loaded.
 */
export interface Status {
  state: "loading" | "ready" | "failed";
  message: string;
  maskable: boolean;
  means: boolean;
  classes: number[];
}
/**
 * A picture that the server offers to try.
 */
export interface Sample {
  number: number;
  name: string;
  label: string | null;
}
/**
 * A picture that the server keeps, with the report on it.
 */
export interface LivePicture {
  number: number;
  shown: ShownPicture;
}
/**
 * Mask these groups.
 */
export interface MaskRequest {
  /**
   * @minItems 1
   * @maxItems 1000
   */
  groups: [string, ...string[]];
  by?: ("zero" | "mean") | number;
  seed?: number;
  cuts?: {
    [k: string]: number;
  };
  /**
   * @minItems 1
   * @maxItems 4
   */
  pictures: [number] | [number, number] | [number, number, number] | [number, number, number, number];
  draws?: number;
}
/**
 * Mask each of these groups by itself, on one picture.
 */
export interface EffectsRequest {
  /**
   * @minItems 1
   * @maxItems 1000
   */
  groups: [string, ...string[]];
  by?: ("zero" | "mean") | number;
  seed?: number;
  cuts?: {
    [k: string]: number;
  };
  picture: number;
  rival?: number | ("nearest" | "none");
  draws?: number;
}
/**
 * The effect of each group on the answer's logit, or on its lead over the rival.
 */
export interface Effects {
  answer: Prediction;
  rival: Prediction | null;
  value: number;
  classes: Prediction[];
  effects: GroupEffect[];
}
/**
 * The effect of one group on the prediction for one picture.
 */
export interface GroupEffect {
  id: string;
  effect: number;
  random?: Interval | null;
}
/**
 * The results of a search: classes by their names, and groups by their crops, best first.
 */
export interface Findings {
  classes: ClassName[];
  groups: Likeness[];
}
/**
 * A class of the network.
 */
export interface ClassName {
  index: number;
  name: string;
}
/**
 * How much better a group's crops fit the words than other crops.
 */
export interface Likeness {
  id: string;
  contrast: number;
}
/**
 * The response maps of all neurons of a layer on a picture.
 */
export interface NeuronMaps {
  layer: string;
  height: number;
  width: number;
  neurons: NeuronMap[];
}
/**
 * The map of a neuron's response on a picture.
 */
export interface NeuronMap {
  neuron: number;
  strength: number;
  heat: string;
}
/**
 * The state of the audit.
 */
export interface AuditState {
  state: "not started" | "running" | "done" | "failed";
  message: string;
  done: number;
  total: number;
  report: AuditReport | null;
}
/**
 * A label given by a person; null removes it.
 */
export interface LabelRequest {
  label: string | null;
  caption?: string | null;
}
/**
 * The label of a group after a request.
 */
export interface LabelReply {
  id: string;
  label: string | null;
  caption: string | null;
}
/**
 * Merge these groups into one.
 */
export interface MergeRequest {
  kind: "merge";
  /**
   * @minItems 2
   * @maxItems 1000
   */
  groups: [string, string, ...string[]];
}
/**
 * Split a group in two: these members, and the others.
 */
export interface SplitRequest {
  kind: "split";
  group: string;
  /**
   * @minItems 1
   * @maxItems 100000
   */
  members: [Member, ...Member[]];
}
/**
 * Undo the last edit, or redo the edit that was undone last.
 */
export interface BackRequest {
  kind: "undo" | "redo";
}
/**
 * The contents of ``edits-DIGEST.json``: the edits in force, and those that were undone.
 */
export interface Edits {
  format?: "neurflow edits";
  schema_version?: 1;
  /**
   * @maxItems 1000
   */
  done?: (Merge | Split)[];
  /**
   * @maxItems 1000
   */
  undone?: (Merge | Split)[];
}
/**
 * Several groups of one layer become one.
 */
export interface Merge {
  kind?: "merge";
  /**
   * @minItems 2
   * @maxItems 1000
   */
  groups: [string, string, ...string[]];
  into: string;
}
/**
 * A group becomes two: the named members, and the others.
 */
export interface Split {
  kind?: "split";
  group: string;
  /**
   * @minItems 1
   * @maxItems 100000
   */
  members: [Member, ...Member[]];
  /**
   * @minItems 2
   * @maxItems 2
   */
  into: [string, string];
}
