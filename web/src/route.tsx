/** How a group acts on the target, or is made from pixels: its strongest path, to be walked. */

import type { Circuit, Group } from "./circuit";
import { CropPicture } from "./crop";
import { headingOf, signed } from "./format";
import { Bar } from "./listing";
import { stations, type Path, type Way } from "./path";

interface RouteProps {
  circuit: Circuit;
  group: Group;
  /** the one that is shown */
  path: Path | null;
  onPath: (way: Way | null) => void;
  onSelect: (id: string) => void;
}

export function Route({ circuit, group, path, onPath, onSelect }: RouteProps) {
  const top = circuit.columns.length - 1;
  const ways: [Way, string, number][] = [
    ["target", `to ${circuit.data.target}`, top],
    ["pixels", "to the pixels", 0],
  ];
  return (
    <section class="route" aria-label="Strongest path">
      <h3>Strongest path</h3>
      <div class="choices">
        {ways.map(([way, name, end]) => (
          <button
            key={way}
            aria-pressed={path?.way === way}
            disabled={group.layer === end}
            onClick={() => onPath(path?.way === way ? null : way)}
          >
            {name}
          </button>
        ))}
      </div>
      {path && <Stations circuit={circuit} group={group} path={path} onSelect={onSelect} />}
    </section>
  );
}

function Stations({ circuit, group, path, onSelect }: Omit<RouteProps, "path" | "onPath"> & { path: Path }) {
  const [, ...rest] = stations(path, group.id);
  return (
    <>
      <ol class="edge-list" data-list="path">
        {rest.map((id, place) => {
          const other = circuit.groups.get(id)!;
          return (
            <li key={id}>
              <button onClick={() => onSelect(id)} title={id}>
                <span class="strip">
                  {other.crops.slice(0, 3).map((crop) => (
                    <CropPicture key={crop} data={circuit.data} crop={crop} />
                  ))}
                </span>
                <span class="edge-name">
                  {headingOf(other, circuit.data)} <small>{circuit.data.layers[other.layer]!.name}</small>
                </span>
                <Bar weight={path.edges[place]!.weight} largest={1} />
              </button>
            </li>
          );
        })}
      </ol>
      <p class="quiet">
        Its weights multiply to <b class={path.weight < 0 ? "against" : "for"}>{signed(path.weight)}</b>: the most that one path
        carries.
      </p>
    </>
  );
}
