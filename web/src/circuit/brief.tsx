/** The circuit in one line: the group with most weight into the target, of each layer. */

import { FAINT, signedPercent } from "../shared/format";
import { Middle } from "../shared/middle";
import { type Circuit, leaders } from "./circuit";
import { CropStrip } from "./crop";
import { headingOf } from "./names";

interface BriefProps {
  circuit: Circuit;
  selected: string | null;
  onSelect: (id: string) => void;
}

const CROPS_SHOWN = 2;

export function Brief({ circuit, selected, onSelect }: BriefProps) {
  const { data } = circuit;
  const groups = leaders(circuit);
  if (!data.shares || !groups.length) return null;
  return (
    <nav class="brief" aria-label={`Strongest group of each layer for ${data.target}`}>
      <span>Strongest of each layer:</span>
      <ol>
        {groups.map((group) => (
          <li key={group.id}>
            <button
              class={Math.abs(group.pathWeight) < FAINT ? "faint" : ""}
              aria-pressed={group.id === selected}
              title={`${group.id}: the group of its layer with the largest weight along all paths to ${data.target}`}
              onClick={() => onSelect(group.id)}
            >
              <CropStrip data={data} crops={group.crops} count={CROPS_SHOWN} />
              <span class="brief-name">
                <Middle text={group.label ? headingOf(group, data) : group.id} />
              </span>
              <b class={group.pathWeight < 0 ? "against" : "for"}>{signedPercent(group.pathWeight)}</b>
            </button>
          </li>
        ))}
      </ol>
    </nav>
  );
}
