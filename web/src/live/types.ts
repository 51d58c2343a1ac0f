// Generated from the Python types: make web-types

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
 * All of them: the root that the front end's types are generated from.
 */
export interface Messages {
  problem: Problem;
  status: Status;
  sample: Sample;
  picture: LivePicture;
  mask: MaskRequest;
  what_if: WhatIf;
  audit: AuditState;
  name: LabelRequest;
  named: LabelReply;
  edit: MergeRequest | SplitRequest | BackRequest;
  edits: Edits;
}
/**
 * Why a request was refused or failed, for a person to read.
 */
export interface Problem {
  error: string;
}
/**
 * Whether the model is there.
 */
export interface Status {
  state: "loading" | "ready" | "failed";
  message: string;
  maskable: boolean;
  means: boolean;
}
/**
 * A picture that the server was given to try.
 */
export interface Sample {
  number: number;
  name: string;
  label: string | null;
}
/**
 * A picture that the server holds, with why the model answers so.
 */
export interface LivePicture {
  number: number;
  shown: ShownPicture;
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
 * What if these groups were gone.
 */
export interface MaskRequest {
  /**
   * @minItems 1
   * @maxItems 4
   */
  pictures: [number] | [number, number] | [number, number, number] | [number, number, number, number];
  /**
   * @minItems 1
   * @maxItems 1000
   */
  groups: [string, ...string[]];
  by?: "zero" | "mean";
  draws?: number;
  seed?: number;
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
 * How far the audit is.
 */
export interface AuditState {
  state: "not started" | "running" | "done" | "failed";
  message: string;
  done: number;
  total: number;
  report: AuditReport | null;
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
/**
 * An image that could not be read, and why.
 */
export interface SkippedImage {
  name: string;
  reason: string;
}
/**
 * What a person calls a group; null takes the label away.
 */
export interface LabelRequest {
  label: string | null;
  caption?: string | null;
}
/**
 * What a group is called now.
 */
export interface LabelReply {
  id: string;
  label: string | null;
  caption: string | null;
}
/**
 * Make one group of these.
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
 * Make two groups of one: these members, and the others.
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
 * Take the last edit back, or do again what was taken back last.
 */
export interface BackRequest {
  kind: "undo" | "redo";
}
/**
 * The contents of ``edits-DIGEST.json``: what was done, and what of it was taken back.
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
 * Groups of one layer that become one.
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
 * A group that becomes two: the members named, and the others.
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
