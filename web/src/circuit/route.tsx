/** The strongest path from a group to the target or to the pixels, as a list to follow. */

import { FAINT, weightsAs } from "../shared/format";
import { Bar } from "../shared/listing";
import type { Circuit, Group } from "./circuit";
import { CropStrip } from "./crop";
import { headingOf } from "./names";
import { type Path, stations, type Way } from "./path";

interface RouteProps {
  circuit: Circuit;
  group: Group;
  /** the path that is shown */
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
  const { shares } = circuit.data;
  const largest = shares ? 1 : Math.max(...path.edges.map(({ weight }) => Math.abs(weight)));
  // what is left of the weight after each step
  let carried = 1;
  const left = path.edges.map(({ weight }) => {
    carried *= weight;
    return carried;
  });
  return (
    <>
      <ol class="edge-list" data-list="path">
        {rest.map((id, place) => {
          const other = circuit.groups.get(id)!;
          return (
            <li key={id} class={shares && Math.abs(left[place]!) < FAINT ? "faint" : ""}>
              <button onClick={() => onSelect(id)} title={id}>
                <CropStrip data={circuit.data} crops={other.crops} count={3} />
                <span class="edge-name">
                  {headingOf(other, circuit.data)} <small>{circuit.data.layers[other.layer]!.name}</small>
                </span>
                <Bar weight={path.edges[place]!.weight} largest={largest} shares={shares} />
              </button>
            </li>
          );
        })}
      </ol>
      <p class="quiet">
        The weights of its edges multiply to{" "}
        <b class={path.weight < 0 ? "against" : "for"}>{weightsAs(shares)(path.weight)}</b>. No other path has more
        weight.{" "}
        {shares &&
          Math.abs(path.weight) < FAINT &&
          "That is little: the group acts along many paths, or hardly at all."}
      </p>
    </>
  );
}
