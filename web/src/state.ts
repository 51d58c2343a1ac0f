/** What the reader has chosen. It lives in the address, so that a view can be kept and shared. */

import type { Way } from "./path";

export interface PageState {
  group: string | null;
  neuron: number | null;
  path: Way | null;
  /** of the weight that the edges shown carry */
  share: number;
  query: string;
  /** centre of what is in view, in the drawing, and scale; null: as it opens */
  at: Place | null;
}

export interface Place {
  x: number;
  y: number;
  k: number;
}

export const SHARE_AT_FIRST = 0.8;

export function readState(hash: string): PageState {
  const values = new URLSearchParams(hash.replace(/^#/, ""));
  const number = (text: string | null) => (text === null || !Number.isFinite(Number(text)) ? null : Number(text));
  const path = values.get("path");
  const share = number(values.get("share"));
  return {
    group: values.get("group"),
    neuron: number(values.get("neuron")),
    path: path === "target" || path === "pixels" ? path : null,
    share: share === null ? SHARE_AT_FIRST : Math.min(Math.max(share, 0), 1),
    query: values.get("find") ?? "",
    at: readPlace(values.get("at")),
  };
}

export function writeState({ group, neuron, path, share, query, at }: PageState): string {
  const values = new URLSearchParams();
  if (group) values.set("group", group);
  if (group && neuron !== null) values.set("neuron", String(neuron));
  if (group && path) values.set("path", path);
  if (share !== SHARE_AT_FIRST) values.set("share", String(share));
  if (query) values.set("find", query);
  if (at) values.set("at", [at.x.toFixed(0), at.y.toFixed(0), at.k.toFixed(3)].join(","));
  return values.size ? `#${values}` : "#";
}

function readPlace(text: string | null): Place | null {
  const [x, y, k] = (text ?? "").split(",").map(Number);
  if (x === undefined || y === undefined || k === undefined || ![x, y, k].every(Number.isFinite) || k <= 0) return null;
  return { x, y, k };
}
