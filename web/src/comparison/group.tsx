/** A group of one circuit: its crops, its name, its number of neurons. */

import { plural } from "../shared/format";
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
      <div class="mosaic">
        {(group?.pictures ?? []).map((place) => (
          <img key={place} class="crop" src={data.pictures[place]} alt="" decoding="async" />
        ))}
      </div>
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
  const group = data[side].groups[id];
  const first = group?.pictures[0];
  return (
    <button class="group-link" onClick={() => onGo(side, id)} title={`Go to ${id}`}>
      {first === undefined ? (
        <span class="crop empty" aria-hidden="true" />
      ) : (
        <img class="crop" src={data.pictures[first]} alt="" />
      )}
      <Letter side={side} />
      <span>{titleOf(data, side, id)}</span>
    </button>
  );
}

export const anchor = (side: SideName, id: string): string => `${side}:${id}`;
