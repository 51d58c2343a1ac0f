/** What groups are called. */

import type { PageData } from "../shared/types";

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
