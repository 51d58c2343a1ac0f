/** A group as it is known by: its crops, its name, its size. */

import { Strip } from "../shared/strip";
import type { DebugPageData } from "../shared/types";

export function GroupTitle({ data, id, count = 4 }: { data: DebugPageData; id: string; count?: number }) {
  const group = data.groups[id];
  return (
    <span class="group-title">
      <Strip pictures={(group?.pictures ?? []).slice(0, count).map((source) => ({ source }))} />
      <span class="group-name" title={id}>
        {group?.label ?? id}
        {group?.label && <small> {id}</small>}
      </span>
    </span>
  );
}
