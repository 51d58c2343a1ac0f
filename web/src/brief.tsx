/** The circuit in one line: which group of each layer carries most of the weight to the target. */

import { leaders, type Circuit } from "./circuit";
import { CropPicture } from "./crop";
import { headingOf, signed } from "./format";

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
    <nav class="brief" aria-label={`What carries most to ${data.target}, layer by layer`}>
      <span>Carries most to {data.target}:</span>
      <ol>
        {groups.map((group) => (
          <li key={group.id}>
            <button
              aria-pressed={group.id === selected}
              title={`${group.id}: of its layer's groups, the one whose weight along all paths to ${data.target} is largest`}
              onClick={() => onSelect(group.id)}
            >
              <span class="strip" aria-hidden="true">
                {group.crops.slice(0, CROPS_SHOWN).map((crop) => (
                  <CropPicture key={crop} data={data} crop={crop} />
                ))}
              </span>
              <span class="brief-name">
                {group.label ? headingOf(group, data) : group.id}
              </span>
              <b class={group.reach < 0 ? "against" : "for"}>{signed(group.reach)}</b>
            </button>
          </li>
        ))}
      </ol>
    </nav>
  );
}
