/** Where the page gets its data: from inside itself, or from the server that it came from. */

import type {
  AtlasPageData,
  AuditState,
  ComparisonPageData,
  DebugPageData,
  Edits,
  LabelReply,
  LivePicture,
  MaskRequest,
  Messages,
  PageData,
  Sample,
  Status,
  WhatIf,
} from "./types";

export type AnyPage = PageData | DebugPageData | ComparisonPageData | AtlasPageData;

export interface Client {
  load(): Promise<AnyPage>;
  /** what only a page with the model behind it can do */
  live: LiveCalls | null;
}

/** Each may fail with an error whose message is for people. */
export interface LiveCalls {
  status(): Promise<Status>;
  samples(): Promise<Sample[]>;
  sample(number: number): Promise<LivePicture>;
  upload(file: File): Promise<LivePicture>;
  /** one that was read before */
  picture(number: number): Promise<LivePicture>;
  mask(request: MaskRequest, signal: AbortSignal): Promise<WhatIf>;
  audit(start: boolean): Promise<AuditState>;
  label(id: string, label: string | null): Promise<LabelReply>;
  edits(): Promise<Edits>;
  edit(request: Messages["edit"]): Promise<Edits>;
}

const inside = () => document.getElementById("data")?.textContent ?? "";

/** Reads the data that `neurflow report` put into the page. */
export class StaticClient implements Client {
  readonly live = null;

  async load(): Promise<AnyPage> {
    const text = inside();
    if (!text) throw new Error("This page holds no circuit. Make one with: neurflow report RUN");
    return JSON.parse(text) as AnyPage;
  }
}

/** Whether the page came empty from a server, which then answers for it. */
export const isServed = (): boolean => !inside() && /^https?:$/.test(location.protocol);
