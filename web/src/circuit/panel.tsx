/** Details of the selected group, or of one of its neurons. */

import type { ComponentChildren } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { digits, fixed, percent, plural } from "../shared/format";
import { Bar, Listing } from "../shared/listing";
import { Middle } from "../shared/middle";
import type { EdgeData, MeaningData, NeuronData } from "../shared/types";
import { shaky } from "./card";
import { type Circuit, type Group, neuronOf, parts, unsure } from "./circuit";
import { CropPicture, CropStrip, fewPhotographs } from "./crop";
import { about } from "./edges";
import { Histogram } from "./histogram";
import { doubtful, LabelSection } from "./label";
import { Lightbox } from "./lightbox";
import { headingOf, targetOf } from "./names";
import type { Path, Way } from "./path";
import { Route } from "./route";
import { Scores } from "./scores";
import { Sights } from "./sights";

type Select = (id: string | null, neuron?: number | null) => void;

interface GroupProps {
  circuit: Circuit;
  group: Group;
  onSelect: Select;
}

interface RouteProps {
  /** the path that is shown, from the group on */
  path: Path | null;
  onPath: (way: Way | null) => void;
}

const EDGES_LISTED = 8;
const MEMBERS_LISTED = 20;

interface PanelProps extends GroupProps, RouteProps {
  neuron: number | null;
  /** what can be done with the group */
  tools?: ComponentChildren;
  /** its scores on pictures, where more is known than those on the class */
  scores?: ComponentChildren;
}

export function Panel({ neuron, path, onPath, tools, scores, ...props }: PanelProps) {
  const { circuit, group, onSelect } = props;
  const found = neuron === null ? undefined : neuronOf(circuit, group.layer, neuron);
  const panel = useRef<HTMLElement>(null);
  const view = `${group.id}.${neuron}`;
  useEffect(() => {
    panel.current!.scrollTop = 0;
    // the button that led here has gone with the former view, and the focus with it
    if (document.activeElement === document.body) panel.current!.focus({ preventScroll: true });
  }, [view]);
  return (
    <aside class="panel" aria-label="Details" ref={panel} tabIndex={-1}>
      <button class="close" onClick={() => onSelect(null)} aria-label="Close details">
        ×
      </button>
      {found ? (
        <NeuronView key={view} neuron={found} {...props} />
      ) : (
        <GroupView key={view} path={path} onPath={onPath} tools={tools} scores={scores} {...props} />
      )}
    </aside>
  );
}

function GroupView({ circuit, group, path, onPath, onSelect, tools, scores }: Omit<PanelProps, "neuron">) {
  const { data } = circuit;
  return (
    <>
      <h2>
        <span class={doubtful(group) ? "doubtful" : ""}>{headingOf(group, data)}</span> <small>{group.id}</small>
      </h2>
      {group.caption && <p>{group.caption}</p>}
      {tools}
      <Facts circuit={circuit} group={group} />
      <Crops circuit={circuit} group={group} />
      {scores ?? (group.scores.length > 0 && <Scores rows={[{ name: targetOf(data), scores: group.scores }]} />)}
      <LabelSection group={group} />
      <Sights circuit={circuit} group={group} />
      <Route circuit={circuit} group={group} path={path} onPath={onPath} onSelect={onSelect} />
      <EdgeList title="Inputs" circuit={circuit} edges={group.inputs} end="lower" onSelect={onSelect} />
      <EdgeList title="Outputs" circuit={circuit} edges={group.outputs} end="upper" onSelect={onSelect} />
      <h3>
        Members <small>neuron; its activations on all crops, those of this meaning shaded; the largest one</small>
      </h3>
      <Listing class="members" count={MEMBERS_LISTED} all={group.members}>
        {([a, i]) => (
          <MemberRow key={`${a}.${i}`} circuit={circuit} group={group} member={[a, i]} onSelect={onSelect} />
        )}
      </Listing>
    </>
  );
}

function Facts({ circuit: { data }, group }: { circuit: Circuit; group: Group }) {
  const neurons = new Set(group.members.map(([a]) => a)).size;
  const meanings = group.members.length;
  const photographs = fewPhotographs(group, data);
  return (
    <>
      <p class="quiet">
        {meanings === neurons
          ? plural(neurons, "neuron")
          : `${plural(neurons, "neuron")}, ${meanings} of their meanings`}
        .
        {data.shares && group.layer < data.layers.length - 1 && (
          <>
            {" "}
            Accounts for <b class={group.pathWeight < 0 ? "against" : "for"}>{percent(Math.abs(group.pathWeight))}</b>{" "}
            of the weight {group.pathWeight < 0 ? "against" : "into"} {data.target}.
          </>
        )}
        {group.returns !== null && (
          <span title="How well the group is found again on halves of the pictures: 1 if always, 0 at chance level">
            {" "}
            Reproducibility on other pictures: <b>{fixed(group.returns, 2)}</b> of 1.
          </span>
        )}
        {group.stability && (
          <>
            {" "}
            When the circuit is found on resampled pictures, the most similar group has a Jaccard index of{" "}
            <b>{fixed(group.stability[0], 2)}</b> [{fixed(group.stability[1], 2)}, {fixed(group.stability[2], 2)}].
          </>
        )}
      </p>
      {shaky(group) && (
        <p class="note">This group is not found again on other pictures. Do not rely on its name or its weight.</p>
      )}
      {photographs && (
        <p class="note">
          All crops come from {photographs.text.slice("all crops come from ".length)}: the group may respond to these
          pictures only.
        </p>
      )}
    </>
  );
}

/** The group's crops; a click enlarges one. */
function Crops({ circuit, group }: { circuit: Circuit; group: Group }) {
  const [shown, show] = useState<number | null>(null);
  return (
    <>
      <div class="crops">
        {group.crops.map((crop, place) => (
          <button key={crop} class="enlarge" onClick={() => show(place)} aria-label={`Enlarge crop ${place + 1}`}>
            <CropPicture data={circuit.data} crop={crop} label />
          </button>
        ))}
      </div>
      {shown !== null && <Lightbox circuit={circuit} group={group} place={shown} onPlace={show} />}
    </>
  );
}

function MemberRow({ circuit, group, member: [a, i], onSelect }: GroupProps & { member: [number, number] }) {
  const neuron = neuronOf(circuit, group.layer, a)!;
  const meaning = neuron.meanings[i]!;
  return (
    <li>
      <button onClick={() => onSelect(group.id, a)}>
        <span>
          neuron {a}
          {neuron.meanings.length > 1 && (
            <small>
              {" "}
              meaning {i + 1} of {neuron.meanings.length}
            </small>
          )}
        </span>
        {neuron.histogram ? <Histogram of={neuron.histogram} mark={[meaning.least, strongestOf(meaning)]} /> : <span />}
        <span class="activation">{digits(strongestOf(meaning), 3)}</span>
        <span class="strip">
          {meaning.crops.map((crop, n) => (
            <CropPicture key={crop} data={circuit.data} crop={crop} activation={meaning.activations[n]!} />
          ))}
        </span>
      </button>
    </li>
  );
}

const strongestOf = (meaning: MeaningData): number => meaning.activations[0] ?? meaning.mean;

interface EdgeListProps {
  title: string;
  circuit: Circuit;
  edges: EdgeData[];
  end: "upper" | "lower";
  onSelect: Select;
}

function EdgeList({ title, circuit, edges, end, onSelect }: EdgeListProps) {
  if (!edges.length) return null;
  const largest = Math.abs(edges[0]!.weight);
  const layer = circuit.data.layers[circuit.groups.get(edges[0]![end])!.layer]!;
  return (
    <>
      <h3>
        {title} <small>{layer.name}</small>
      </h3>
      <Listing class="edge-list" name={end} count={EDGES_LISTED} all={edges}>
        {(edge) => {
          const other = circuit.groups.get(edge[end])!;
          return (
            <li key={other.id}>
              <button onClick={() => onSelect(other.id)} title={about(edge, circuit.data.shares)}>
                <CropStrip data={circuit.data} crops={other.crops} count={3} />
                <span class={`edge-name${doubtful(other) ? " doubtful" : ""}`}>
                  <Middle text={headingOf(other, circuit.data)} />
                  {significant(edge) && <b title="p < 0.05"> *</b>}
                  {unsure(edge) && <small> sign uncertain</small>}
                  <small class="parts">{parts(edge, circuit.data.shares)}</small>
                </span>
                <Bar weight={edge.weight} largest={largest} shares={circuit.data.shares} />
              </button>
            </li>
          );
        }}
      </Listing>
    </>
  );
}

const significant = (edge: EdgeData) => edge.significance !== null && edge.significance < 0.05;

function NeuronView({ circuit, group, neuron, onSelect }: GroupProps & { neuron: NeuronData }) {
  const crops = neuron.meanings.reduce((sum, meaning) => sum + meaning.size, 0);
  return (
    <>
      <button class="back" onClick={() => onSelect(group.id)}>
        ‹ {headingOf(group, circuit.data)}
      </button>
      <h2>
        Neuron {neuron.index} <small>{circuit.data.layers[group.layer]!.name}</small>
      </h2>
      <p class="quiet">
        Activation on its {plural(crops, "strongest crop")}: {digits(neuron.strongest, 3)} down to{" "}
        {digits(neuron.weakest, 3)}.
        {neuron.score_error !== null && (
          <>
            {" "}
            Integrated gradients with {neuron.steps} steps ({neuron.rule}), score error{" "}
            <b>{percent(neuron.score_error)}</b>
            {neuron.cancellation !== null && `, cancellation ${neuron.cancellation.toPrecision(2)}`}.
          </>
        )}
        {neuron.completeness_error !== null && (
          <>
            {" "}
            Completeness error <b>{percent(neuron.completeness_error)}</b>.
          </>
        )}
      </p>
      {neuron.meanings.map((meaning, i) => (
        <section key={i}>
          <h3>
            {neuron.meanings.length > 1 ? `Meaning ${i + 1}` : "One meaning"}{" "}
            <small>
              {plural(meaning.size, "crop")}, mean activation {digits(meaning.mean, 3)}, in{" "}
            </small>
            <button class="link" onClick={() => onSelect(meaning.group)}>
              {meaning.group}
            </button>
          </h3>
          <div class="crops small">
            {meaning.crops.map((crop, n) => (
              <CropPicture key={crop} data={circuit.data} crop={crop} activation={meaning.activations[n]!} label />
            ))}
          </div>
          <Weights circuit={circuit} layer={group.layer - 1} meaning={meaning} onSelect={onSelect} />
        </section>
      ))}
    </>
  );
}

interface WeightsProps {
  circuit: Circuit;
  /** of the core neurons */
  layer: number;
  meaning: MeaningData;
  onSelect: Select;
}

function Weights({ circuit, layer, meaning, onSelect }: WeightsProps) {
  const below = circuit.data.layers[layer];
  const weights = Object.entries(meaning.weights).sort((a, b) => Math.abs(b[1]) - Math.abs(a[1]));
  if (!below || !weights.length) return null;
  const largest = Math.abs(weights[0]![1]);
  return (
    <Listing class="weights" count={EDGES_LISTED} all={weights}>
      {([s, weight]) => {
        const lower = neuronOf(circuit, layer, Number(s));
        return (
          <li key={s}>
            <button disabled={!lower} onClick={() => lower && onSelect(lower.meanings[0]!.group, lower.index)}>
              {below.name} {s}
            </button>
            <Bar weight={weight} largest={largest} shares={false} />
          </li>
        );
      }}
    </Listing>
  );
}
