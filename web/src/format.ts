/** Numbers and names as people read them. */

import type { PageData } from "./types";

export const signed = (value: number): string =>
  `${value < 0 ? "−" : "+"}${Math.abs(value).toFixed(Math.abs(value) < 0.0995 ? 3 : 2)}`;

export const percent = (share: number): string => {
  const value = share * 100;
  if (value > 0 && value < 0.001) return "< 0.001 %";
  return `${value >= 10 || value === 0 ? Math.round(value) : value.toFixed(value < 0.1 ? 3 : 1)} %`;
};

export const plural = (count: number, word: string): string =>
  `${count.toLocaleString("en")} ${word}${count === 1 ? "" : "s"}`;

/** Mean and worst of an error, once where they read the same. */
export const spread = ({ mean, worst }: { mean: number; worst: number }): string => {
  const [usual, most] = [percent(mean), percent(worst)];
  return usual === most ? usual : `${usual}, worst ${most}`;
};

/** What a group is called: its label, or its number. */
export const nameOf = (group: { id: string; label: string | null }): string =>
  group.label ?? group.id.slice(group.id.lastIndexOf("/") + 1);

/** What its card says: the target's own group is the target, if it is the only one. */
export const titleOf = (group: { id: string; label: string | null; layer: number }, data: PageData): string => {
  const top = data.layers[data.layers.length - 1];
  const only = group.layer === data.layers.length - 1 && top?.groups.length === 1;
  return only && !group.label ? data.target : nameOf(group);
};

/** The same where it stands alone: a bare number says what it counts. */
export const headingOf = (group: { id: string; label: string | null; layer: number }, data: PageData): string => {
  const title = titleOf(group, data);
  return /^\d+$/.test(title) ? `Group ${title}` : title;
};
