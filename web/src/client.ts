/** Where the page gets its data. A report carries them inside; a live server will answer the same calls. */

import type { DebugPageData } from "./debug/types";
import type { PageData } from "./types";

export type AnyPage = PageData | (DebugPageData & { kind: "debug" });

export interface Client {
  load(): Promise<AnyPage>;
}

/** Reads the data that `neurflow report` put into the page. */
export class StaticClient implements Client {
  async load(): Promise<AnyPage> {
    const text = document.getElementById("data")?.textContent;
    if (!text) throw new Error("This page holds no circuit. Make one with: neurflow report RUN");
    return JSON.parse(text) as AnyPage;
  }
}
