// Generated from the Python types: make web-types

/**
 * @minItems 2
 * @maxItems 2
 */
export type ScoredBox = [[number, number, number, number], number];

/**
 * Everything a debug page shows.
 */
export interface DebugPageData {
  kind?: "debug";
  target: string;
  model: string;
  groups: Groups;
  pictures: ShownPicture[];
  report: DebugReport | null;
  audit: AuditReport | null;
}
export interface Groups {
  [k: string]: ExemplarData;
}
/**
 * A group of the circuit, as it is known by.
 */
export interface ExemplarData {
  id: string;
  layer: string;
  label: string | null;
  neurons: number;
  pictures: string[];
}
/**
 * A picture with why the model answers so.
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
 * Why the model answers as it does on one picture.
 */
export interface PictureReport {
  name: string;
  label?: string | null;
  top: Prediction[];
  target: number;
  groups: GroupReading[];
}
/**
 * One class in an answer.
 */
export interface Prediction {
  index: number;
  name: string;
  logit: number;
  probability: number;
}
/**
 * What a group does on one picture.
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
 * Why these answers, and what if.
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
 * What if these neurons were gone: the pictures before and after.
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
 * What is done to the network.
 */
export interface Change {
  groups: string[];
  neurons: Neurons;
  keep: boolean;
  by: ("zero" | "mean") | number;
}
export interface Neurons {
  [k: string]: number[];
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
 * A value that is not known exactly, or the spread of several.
 */
export interface Interval {
  value: number;
  low: number;
  high: number;
}
/**
 * One crop before and after: where the target falls most, the group matters most.
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
 * The errors of one class.
 */
export interface Mistakes {
  right: number;
  missed: Mistake[];
  taken: Mistake[];
  missed_for: MissedFor;
  why_missed: GroupContrast[];
  why_taken: GroupContrast[];
}
/**
 * A picture that is missed or taken for the target, and the groups that are unlike the target.
 */
export interface Mistake {
  name: string;
  label: string;
  predicted: string;
  groups: GroupReading[];
}
export interface MissedFor {
  [k: string]: number;
}
/**
 * How often a group fires on mistakes of one kind, next to the target's own images.
 */
export interface GroupContrast {
  id: string;
  reach: number;
  on_mistakes: Interval;
  on_others: Interval;
  evidence: number;
}
/**
 * An image that could not be read, and why.
 */
export interface SkippedImage {
  name: string;
  reason: string;
}
/**
 * Groups by the evidence that they are a shortcut: a ranking, not a verdict.
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
 * One group's place in the ranking.
 */
export interface GroupAudit {
  id: string;
  rank: number;
  evidence: number;
  by: "zero" | "mean";
  signals: Signals;
}
/**
 * Evidence that a group is a shortcut, each with a 95 % interval; None where it has no measure.
 */
export interface Signals {
  raises: Interval;
  mends: Interval;
  fixes: Interval | null;
  cost: Interval | null;
  fixed: Interval | null;
  apart: Interval | null;
}
