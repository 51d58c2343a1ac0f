/** Where a page gets its data: from the page itself, or from its server. */

import { addPictures } from "./pictures";
import type {
  AtlasPageData,
  AuditState,
  ComparisonPageData,
  DebugPageData,
  Edits,
  Effects,
  EffectsRequest,
  Findings,
  LabelReply,
  LivePicture,
  MaskRequest,
  Messages,
  NeuronMaps,
  PageData,
  Sample,
  Status,
  WhatIf,
} from "./types";

export type AnyPage = PageData | DebugPageData | ComparisonPageData | AtlasPageData;

export interface Client {
  load(): Promise<AnyPage>;
  /** calls that need the model; null for a static page */
  live: LiveCalls | null;
}

/** Each call may fail with an error whose message is for people. */
export interface LiveCalls {
  status(): Promise<Status>;
  samples(): Promise<Sample[]>;
  sample(number: number): Promise<LivePicture>;
  upload(file: File): Promise<LivePicture>;
  /** a picture that was read before */
  picture(number: number): Promise<LivePicture>;
  mask(request: MaskRequest, signal: AbortSignal): Promise<WhatIf>;
  effects(request: EffectsRequest, signal: AbortSignal): Promise<Effects>;
  neurons(picture: number, layer: string): Promise<NeuronMaps>;
  /** classes by their names; groups by their looks, if the server has a CLIP-style model */
  find(words: string, signal: AbortSignal): Promise<Findings>;
  audit(start: boolean): Promise<AuditState>;
  label(id: string, label: string | null): Promise<LabelReply>;
  edits(): Promise<Edits>;
  edit(request: Messages["edit"]): Promise<Edits>;
}

const inside = () => document.getElementById("data")?.textContent ?? "";

/** Reads the data inside a page made by `neurflow report`. */
export class StaticClient implements Client {
  readonly live = null;

  async load(): Promise<AnyPage> {
    const text = inside();
    if (!text) throw new Error("This page contains no data. Make a page with: neurflow report RUN");
    const data = JSON.parse(text) as AnyPage;
    if (data.kind === "circuit") addPictures(data.pictures);
    return data;
  }
}

/** Whether the page came without data from a server. */
export const isServed = (): boolean => !inside() && /^https?:$/.test(location.protocol);
