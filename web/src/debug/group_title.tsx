/** A group as it is known by: its crops, its name, its size. */

import type { DebugPageData } from "../shared/types";

export function GroupTitle({ data, id, count = 4 }: { data: DebugPageData; id: string; count?: number }) {
  const group = data.groups[id];
  return (
    <span class="group-title">
      <span class="strip">
        {group?.pictures.slice(0, count).map((source) => (
          <img key={source} class="crop" src={source} alt="" />
        ))}
      </span>
      <span class="group-name" title={id}>
        {group?.label ?? id}
        {group?.label && <small> {id}</small>}
      </span>
    </span>
  );
}
