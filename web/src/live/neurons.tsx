/** The neurons of a group on the picture that is explained: how strongly each responds, and where. */

import { useEffect, useState } from "preact/hooks";
import type { Group } from "../circuit/circuit";
import { fixed } from "../shared/format";
import { HOTTEST, valuesOf } from "../shared/heat";
import type { NeuronMap, NeuronMaps } from "../shared/types";
import type { Spot } from "./pointed";
import type { Live } from "./state";

/** Where the neurons of a layer respond; null until the server has answered. */
export function useNeurons(live: Live, picture: number | null, layer: string | null): NeuronMaps | null {
  const [maps, setMaps] = useState<NeuronMaps | null>(null);
  useEffect(() => {
    let latest = true;
    setMaps(null);
    if (picture !== null && layer !== null)
      live.calls.neurons(picture, layer).then(
        (found) => latest && setMaps(found),
        () => {}, // the groups are shown without their neurons; what failed is told where groups are asked for
      );
    return () => {
      latest = false;
    };
  }, [live.calls, picture, layer]);
  return maps;
}

interface NeuronsProps {
  group: Group;
  maps: NeuronMaps;
  spot: Spot | null;
  /** whether the group itself is pointed at */
  hovered: boolean;
  /** the neuron that is pointed at */
  lit: number | null;
  onLook: (neuron: number | null) => void;
}

export function NeuronList({ group, maps, spot, hovered, lit, onLook }: NeuronsProps) {
  const own = new Set(group.members.map(([a]) => a));
  const found = maps.neurons.filter(({ neuron }) => own.has(neuron)).sort((a, b) => b.strength - a.strength);
  return (
    <section aria-label="Neurons of the group">
      <h2>
        Its neurons <small>largest value here; 1 is the mean on the neuron's own crops</small>
      </h2>
      <ul class="neurons">
        {found.map((each) => (
          <li key={each.neuron}>
            <button
              class={hovered || (spot && valueAt(each, maps, spot) >= 1) ? "lit" : ""}
              aria-pressed={lit === each.neuron}
              onMouseEnter={() => onLook(each.neuron)}
              onMouseLeave={() => onLook(null)}
              onFocus={() => onLook(each.neuron)}
              onBlur={() => onLook(null)}
            >
              {each.neuron} <small>{fixed(each.strength, 1)}</small>
            </button>
          </li>
        ))}
      </ul>
    </section>
  );
}

/** A neuron's value at a place; 1 is its mean on its own crops. */
export function valueAt({ heat }: NeuronMap, { width, height }: NeuronMaps, { x, y }: Spot): number {
  if (!heat) return 0;
  const column = Math.min(Math.floor(x * width), width - 1);
  const row = Math.min(Math.floor(y * height), height - 1);
  return HOTTEST * valuesOf(heat)[row * width + column]!;
}
