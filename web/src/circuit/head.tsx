/** The head of a column: the layer, and the number of its groups. */

import { useState } from "preact/hooks";
import { fixed, plural } from "../shared/format";
import { Middle } from "../shared/middle";
import type { LayerData } from "../shared/types";
import { mostGroups, SHAKY } from "./cuts";
import type { Layout } from "./layout";

interface HeadProps {
  layer: LayerData;
  plan: Layout;
  number: number;
  onCut: (layer: string, count: number | null) => void;
}

export function Head({ layer, plan, number, onCut }: HeadProps) {
  const middle = plan.columns[number]! + plan.card.width / 2;
  const pitch = plan.card.width + plan.gap;
  const most = mostGroups(layer);
  const stored = layer.groups.length;
  const [draft, setDraft] = useState<number | null>(null); // while the slider is dragged
  const count = draft ?? stored;
  return (
    <div
      class="column-head"
      style={{
        left: `calc(var(--k) * ${middle - pitch / 2}px)`,
        width: `calc(var(--k) * ${pitch}px)`,
      }}
    >
      <b title={layer.name}>
        <Middle text={layer.name} />
      </b>
      <span>
        {plural(Object.keys(layer.neurons).length, "neuron")}, <Count layer={layer} count={count} />
      </span>
      {most > 1 && (
        <label class="cut">
          <input
            type="range"
            min="1"
            max={most}
            value={count}
            aria-label={`Groups of ${layer.name}`}
            aria-valuetext={plural(count, "group")}
            title="Fewer or more groups; double-click to restore the stored groups"
            onInput={(event) => setDraft(Number(event.currentTarget.value))}
            onChange={(event) => {
              setDraft(null);
              onCut(layer.name, Number(event.currentTarget.value));
            }}
            onDblClick={() => onCut(layer.name, null)}
            onClick={(event) => event.stopPropagation()}
            onPointerDown={(event) => event.stopPropagation()}
          />
        </label>
      )}
    </div>
  );
}

/** The number of groups of a cut, marked where they do not come back on other pictures. */
function Count({ layer, count }: { layer: LayerData; count: number }) {
  const groups = plural(count, "group");
  const agreement = layer.tree?.agreement[count - 1];
  if (layer.note && count === layer.groups.length)
    return (
      <Unstable about={layer.note}>{count === 1 ? "1 group: no stable division" : `${groups}, not stable`}</Unstable>
    );
  if (count < 2 || agreement === undefined) return <>{groups}</>;
  const about = `Agreement of groups found on two halves of the pictures: ${fixed(agreement, 2)} (1: the same groups, 0: chance level)`;
  return agreement < SHAKY ? (
    <Unstable about={about}>{`${groups}, not stable`}</Unstable>
  ) : (
    <i title={about}>{groups}</i>
  );
}

function Unstable({ about, children }: { about: string; children: string }) {
  return (
    <em class="against" title={about}>
      {children}
    </em>
  );
}
