/** What is known about the selected group, or one of its neurons. */

import { neuronOf, type Circuit, type Group } from "./circuit";
import { CropPicture } from "./crop";
import { nameOf, percent, plural, signed } from "./format";
import type { EdgeData, NeuronData } from "./types";

interface PanelProps {
  circuit: Circuit;
  group: Group;
  neuron: number | null;
  onSelect: (id: string | null, neuron?: number | null) => void;
}

export function Panel({ circuit, group, neuron, onSelect }: PanelProps) {
  const found = neuron === null ? undefined : neuronOf(circuit, group.layer, neuron);
  return (
    <aside class="panel" aria-label="Details" key={`${group.id}.${neuron}`}>
      <button class="close" onClick={() => onSelect(null)} aria-label="Close details">×</button>
      {found ? (
        <NeuronPanel circuit={circuit} group={group} neuron={found} onSelect={onSelect} />
      ) : (
        <GroupPanel circuit={circuit} group={group} onSelect={onSelect} />
      )}
    </aside>
  );
}

function GroupPanel({ circuit, group, onSelect }: Omit<PanelProps, "neuron">) {
  const { data } = circuit;
  const neurons = [...new Set(group.members.map(([a]) => a))];
  return (
    <>
      <h2>
        {group.label ?? `Group ${nameOf(group)}`} <small>{data.layers[group.layer]!.name}</small>
      </h2>
      {group.caption && <p>{group.caption}</p>}
      <p class="quiet">
        {plural(group.members.length, "meaning")} of {plural(neurons.length, "neuron")}. Along all paths it
        carries <b class={group.reach < 0 ? "against" : "for"}>{signed(group.reach)}</b> to{" "}
        <b>{data.target}</b>.
      </p>
      <div class="crops">
        {group.crops.map((crop) => (
          <CropPicture key={crop} data={data} crop={crop} label />
        ))}
      </div>
      <EdgeList title="Fed by" circuit={circuit} edges={group.inputs} end="lower" onSelect={onSelect} />
      <EdgeList title="Feeds" circuit={circuit} edges={group.outputs} end="upper" onSelect={onSelect} />
      <h3>Members</h3>
      <ul class="members">
        {group.members.map(([a, i]) => {
          const neuron = neuronOf(circuit, group.layer, a)!;
          const meaning = neuron.meanings[i]!;
          return (
            <li key={`${a}.${i}`}>
              <button onClick={() => onSelect(group.id, a)}>
                <span>
                  neuron {a}
                  {neuron.meanings.length > 1 && <small> meaning {i + 1} of {neuron.meanings.length}</small>}
                </span>
                <span class="strip">
                  {meaning.crops.map((crop) => (
                    <CropPicture key={crop} data={data} crop={crop} />
                  ))}
                </span>
              </button>
            </li>
          );
        })}
      </ul>
    </>
  );
}

interface EdgeListProps {
  title: string;
  circuit: Circuit;
  edges: EdgeData[];
  end: "upper" | "lower";
  onSelect: (id: string) => void;
}

const LISTED = 8;

function EdgeList({ title, circuit, edges, end, onSelect }: EdgeListProps) {
  if (!edges.length) return null;
  const largest = Math.abs(edges[0]!.weight);
  return (
    <>
      <h3>{title}</h3>
      <ul class="edge-list" data-list={end}>
        {edges.slice(0, LISTED).map((edge) => {
          const other = circuit.groups.get(edge[end])!;
          return (
            <li key={other.id}>
              <button onClick={() => onSelect(other.id)} title={other.id}>
                <span class="strip">
                  {other.crops.slice(0, 3).map((crop) => (
                    <CropPicture key={crop} data={circuit.data} crop={crop} />
                  ))}
                </span>
                <span class="edge-name">{other.label ?? other.id}</span>
                <Bar weight={edge.weight} largest={largest} />
              </button>
            </li>
          );
        })}
      </ul>
      {edges.length > LISTED && <p class="quiet">and {edges.length - LISTED} weaker ones</p>}
    </>
  );
}

function Bar({ weight, largest }: { weight: number; largest: number }) {
  const kind = weight < 0 ? "against" : "for";
  return (
    <span class="bar">
      <span class={`fill ${kind}`} style={{ width: `${(Math.abs(weight) / Math.max(largest, 1e-9)) * 100}%` }} />
      <span class={`number ${kind}`}>{signed(weight)}</span>
    </span>
  );
}

interface NeuronPanelProps extends Omit<PanelProps, "neuron"> {
  neuron: NeuronData;
}

function NeuronPanel({ circuit, group, neuron, onSelect }: NeuronPanelProps) {
  const { data } = circuit;
  const layer = data.layers[group.layer]!.name;
  const below = data.layers[group.layer - 1];
  return (
    <>
      <button class="back" onClick={() => onSelect(group.id)}>‹ {group.label ?? `Group ${nameOf(group)}`}</button>
      <h2>
        Neuron {neuron.index} <small>{layer}</small>
      </h2>
      <p class="quiet">
        Its {plural(data.k, "crop")} excite it from {neuron.weakest.toPrecision(3)} to{" "}
        {neuron.strongest.toPrecision(3)}.
        {neuron.completeness_error !== null && (
          <>
            {" "}
            Attribution by {neuron.steps} points, adding up to within{" "}
            <b>{percent(neuron.completeness_error)}</b>.
          </>
        )}
      </p>
      {neuron.meanings.map((meaning, i) => {
        const weights = Object.entries(meaning.weights).sort((a, b) => Math.abs(b[1]) - Math.abs(a[1]));
        const largest = Math.abs(weights[0]?.[1] ?? 1);
        return (
          <section key={i}>
            <h3>
              {neuron.meanings.length > 1 ? `Meaning ${i + 1}` : "One meaning"}{" "}
              <small>{plural(meaning.size, "crop")}, in </small>
              <button class="link" onClick={() => onSelect(meaning.group)}>{meaning.group}</button>
            </h3>
            <div class="crops small">
              {meaning.crops.map((crop) => (
                <CropPicture key={crop} data={data} crop={crop} label />
              ))}
            </div>
            {below && (
              <ul class="weights">
                {weights.slice(0, LISTED).map(([s, weight]) => {
                  const lower = below.neurons[s]!;
                  return (
                    <li key={s}>
                      <button onClick={() => onSelect(lower.meanings[0]!.group, Number(s))}>
                        {below.name} {s}
                      </button>
                      <Bar weight={weight} largest={largest} />
                    </li>
                  );
                })}
              </ul>
            )}
          </section>
        );
      })}
    </>
  );
}
