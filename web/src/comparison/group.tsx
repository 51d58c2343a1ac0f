/** A group of one circuit: its crops, its name, its number of neurons. */

import { plural } from "../shared/format";
import { picturesAt, Strip } from "../shared/strip";
import type { ComparisonPageData } from "../shared/types";
import { type SideName, titleOf } from "./find";

interface GroupProps {
  data: ComparisonPageData;
  side: SideName;
  id: string;
}

export const Letter = ({ side }: { side: SideName }) => <span class={`side-letter ${side}`}>{side.toUpperCase()}</span>;

export function GroupCard({ data, side, id }: GroupProps) {
  const group = data[side].groups[id];
  const title = titleOf(data, side, id);
  return (
    <div class="compared" id={anchor(side, id)} tabIndex={-1}>
      <Strip pictures={picturesAt(data.pictures, group?.pictures)} kind="mosaic" />
      <p class="compared-name">
        <Letter side={side} />
        <b
          class={group?.doubt ? "doubtful" : ""}
          title={[id, group?.doubt, group?.caption].filter(Boolean).join(" · ")}
        >
          {title}
        </b>
      </p>
      <p class="quiet">
        {group?.label && `${id}, `}
        {plural(group?.neurons.length ?? 0, "neuron")}
      </p>
    </div>
  );
}

/** A link to a group: one crop and the name. */
export function GroupLink({ data, side, id, onGo }: GroupProps & { onGo: (side: SideName, id: string) => void }) {
  const first = data[side].groups[id]?.pictures.slice(0, 1);
  return (
    <button class="group-link" onClick={() => onGo(side, id)} title={`Go to ${id}`}>
      <Strip pictures={picturesAt(data.pictures, first)} />
      <Letter side={side} />
      <span>{titleOf(data, side, id)}</span>
    </button>
  );
}

export const anchor = (side: SideName, id: string): string => `${side}:${id}`;
