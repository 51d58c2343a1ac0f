/** What the reader has chosen. It is kept in the address, so that a view can be bookmarked and shared. */

import type { Cuts } from "./cuts";
import type { Way } from "./path";

export interface PageState {
  group: string | null;
  neuron: number | null;
  path: Way | null;
  /** share of the weight that the edges shown carry */
  share: number;
  query: string;
  /** groups of the layers that are not shown in their stored cut */
  cuts: Cuts;
  /** groups that are masked; of no effect without a model */
  masked: string[];
  /** how far they are masked, from 0 to 1 */
  depth: number;
  /** what is shown instead of the circuit */
  view: View | null;
  /** groups collected for a figure, in the order they were pinned */
  pins: string[];
  /** names given in this address alone: group → name */
  names: Record<string, string>;
  /** pictures that are tried: `s12` is sample 12 of the server, `p3` the third picture it was given */
  pictures: string[];
  /** the class that the answer is compared with: its number, or `none`; null: the nearest */
  rival: string | null;
  /** how a figure is made, as its form says it */
  figure: Record<string, string>;
  /** centre of what is in view, in the drawing, and scale; null: as it opens */
  at: Place | null;
}

export const VIEWS = ["why", "tables", "figure"] as const;
export type View = (typeof VIEWS)[number];

export interface Place {
  x: number;
  y: number;
  k: number;
}

export const SHARE_AT_FIRST = 0.8;
/** Scales that the drawing can be zoomed to. */
export const SCALES: [number, number] = [0.03, 3];
/** Farther than any drawing reaches, in its own units. */
const FAR = 1e6;
/** Letters of a name or a caption in the address. */
const MOST_TEXT = 400;

export function readState(hash: string): PageState {
  const values = new URLSearchParams(hash.replace(/^#/, ""));
  const number = (text: string | null) => (!text?.trim() || !Number.isFinite(Number(text)) ? null : Number(text));
  const path = values.get("path");
  const share = number(values.get("share"));
  return {
    group: values.get("group"),
    neuron: number(values.get("neuron")),
    path: path === "target" || path === "pixels" ? path : null,
    share: share === null ? SHARE_AT_FIRST : between(share, 0, 1),
    query: values.get("find") ?? "",
    cuts: readCuts(values.getAll("cut")),
    masked: [...new Set(values.getAll("mask"))],
    depth: between(number(values.get("depth")) ?? 1, 0, 1),
    view: VIEWS.find((view) => view === values.get("view")) ?? null,
    pins: [...new Set(values.getAll("pin"))],
    names: readPairs(values.getAll("name")),
    pictures: values.getAll("picture").filter((key) => /^[sp]\d{1,9}$/.test(key)),
    rival: values.get("rival"),
    figure: readPairs(values.getAll("figure")),
    at: readPlace(values.get("at")),
  };
}

export function writeState(state: PageState): string {
  const { group, neuron, path, share, query, cuts, masked, at } = state;
  const values = new URLSearchParams();
  if (state.view) values.set("view", state.view);
  if (group) values.set("group", group);
  if (group && neuron !== null) values.set("neuron", String(neuron));
  if (group && path) values.set("path", path);
  if (share !== SHARE_AT_FIRST) values.set("share", String(share));
  if (query) values.set("find", query);
  for (const [layer, count] of Object.entries(cuts)) values.append("cut", `${layer}=${count}`);
  for (const id of masked) values.append("mask", id);
  if (masked.length && state.depth !== 1) values.set("depth", state.depth.toFixed(2));
  for (const id of state.pins) values.append("pin", id);
  for (const key of state.pictures) values.append("picture", key);
  if (state.rival) values.set("rival", state.rival);
  for (const part of ["name", "figure"] as const)
    for (const [key, text] of Object.entries(part === "name" ? state.names : state.figure))
      values.append(part, `${key}=${text}`);
  if (at) values.set("at", [at.x.toFixed(0), at.y.toFixed(0), at.k.toFixed(3)].join(","));
  return values.size ? `#${values}` : "#";
}

const between = (value: number, least: number, most: number) => Math.min(Math.max(value, least), most);

/** `layer4.1=9` of each layer; anything else is ignored. */
const readCuts = (texts: string[]): Cuts =>
  Object.fromEntries(
    texts
      .map((text) => [text.slice(0, text.lastIndexOf("=")), Number(text.slice(text.lastIndexOf("=") + 1))] as const)
      .filter(([layer, count]) => layer && Number.isInteger(count) && count > 0),
  );

/** `key=text` of each, where both are there. */
const readPairs = (texts: string[]): Record<string, string> =>
  Object.fromEntries(
    texts
      .map((text) => [text.slice(0, text.indexOf("=")), text.slice(text.indexOf("=") + 1).slice(0, MOST_TEXT)] as const)
      .filter(([key, text]) => key && text),
  );

function readPlace(text: string | null): Place | null {
  const [x, y, k] = (text ?? "").split(",").map(Number);
  if (x === undefined || y === undefined || k === undefined || ![x, y, k].every(Number.isFinite) || k <= 0) return null;
  return { x: between(x, -FAR, FAR), y: between(y, -FAR, FAR), k: between(k, ...SCALES) };
}
