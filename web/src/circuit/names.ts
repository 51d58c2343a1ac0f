/** What groups are called. */

import { partOf } from "../shared/format";
import type { PageData } from "../shared/types";

/** Returns the name of a group: its label, or its number. */
export const nameOf = (group: { id: string; label: string | null }): string =>
  group.label ?? group.id.slice(group.id.lastIndexOf("/") + 1);

/** Returns the title of a card: the groups of the target's layer are called like the target. */
export const titleOf = (group: { id: string; label: string | null; layer: number }, data: PageData): string => {
  const { groups } = data.layers[group.layer]!;
  if (group.label || group.layer < data.layers.length - 1) return nameOf(group);
  return partOf(
    targetOf(data),
    groups.findIndex(({ id }) => id === group.id),
    groups.length,
  );
};

/** The target in words: a class without a name has a number. */
export const targetOf = ({ target }: PageData): string => (/^\d+$/.test(target) ? `class ${target}` : target);

/** Returns the title as a heading: `Group 3` instead of a bare number. */
export const headingOf = (group: { id: string; label: string | null; layer: number }, data: PageData): string => {
  const title = titleOf(group, data);
  return /^\d+$/.test(title) ? `Group ${title}` : title;
};
