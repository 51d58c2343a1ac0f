/** Why one picture gets its answer, on one screen: the picture, a sentence, and the groups by their effect on it. */

import { useState } from "preact/hooks";
import type { Explorer } from "../circuit/explorer";
import { fileName } from "../shared/format";
import { Add } from "./add";
import { Masked, Trouble } from "./dock";
import { EffectList } from "./effect_list";
import { heatAt, useEffects } from "./effects";
import { NeuronList, useNeurons } from "./neurons";
import { Answers, TargetLine } from "./picture";
import { Pointed, type Spot } from "./pointed";
import { Sentence } from "./sentence";
import type { Live } from "./state";

interface WhyProps {
  live: Live;
  explorer: Explorer;
}

/** As strong as on its own crops. */
const STRONG = 1;

export function WhyView({ live, explorer }: WhyProps) {
  const { circuit, state, change, group, select } = explorer;
  const [spot, point] = useState<Spot | null>(null);
  const [hovered, hover] = useState<string | null>(null);
  const [neuron, look] = useState<number | null>(null);
  const at = live.place;
  const picture = live.pictures[at];
  const why = useEffects(
    live.calls,
    circuit,
    {
      picture: live.status?.maskable && picture ? picture.number : null,
      rival: state.rival,
      by: live.by,
      cuts: state.cuts,
      attempt: live.attempt,
    },
    live.fail,
  );
  const shown = hovered ?? group?.id ?? null;
  const layer = group ? circuit.data.layers[group.layer]! : null;
  const maps = useNeurons(live, picture?.number ?? null, layer?.name ?? null);
  if (!picture)
    return (
      <section class="why empty" aria-label="Why this picture">
        {!live.reading && <p class="quiet">Add a picture to see which groups its answer depends on.</p>}
        <Add live={live} />
        <Trouble live={live} />
      </section>
    );
  const { report } = picture.shown;
  const reading = report.groups.find(({ id }) => id === shown);
  const map = maps?.neurons.find((each) => each.neuron === neuron);
  const lit = new Set(
    neuron !== null && layer
      ? layer.groups.filter(({ members }) => members.some(([a]) => a === neuron)).map(({ id }) => id)
      : spot
        ? report.groups.filter(({ heat }) => heatAt(heat ?? [], spot) >= STRONG).map(({ id }) => id)
        : [],
  );
  return (
    <section class="why" aria-label="Why this picture">
      <Steps live={live} />
      <Sentence why={why} readings={report.groups} circuit={circuit} onRival={(rival) => change({ rival })} />
      <Trouble live={live} waiting={!why && live.status?.maskable} />
      <div class="why-body">
        <div class="why-picture">
          <Pointed
            shown={picture.shown}
            reading={reading}
            map={map && maps ? { ...map, width: maps.width, height: maps.height } : null}
            onPoint={point}
          />
          <p class="quiet" role="status">
            {spotWords(spot, lit.size)}
          </p>
          <Answers before={live.whatIf?.effects[at]?.before ?? report.top} after={live.whatIf?.effects[at]?.after} />
          <Masked live={live} />
          {live.masked.size > 0 && (
            <TargetLine
              target={circuit.data.target}
              value={report.target}
              effect={live.whatIf?.effects[at]}
              busy={live.busy}
              place={at}
            />
          )}
          {group && maps && (
            <NeuronList
              group={group}
              maps={maps}
              spot={spot}
              lit={neuron}
              onLook={look}
              hovered={hovered === group.id}
            />
          )}
        </div>
        <EffectList
          live={live}
          circuit={circuit}
          why={why}
          readings={report.groups}
          selected={group?.id ?? null}
          lit={lit}
          onHover={hover}
          onSelect={select}
        />
      </div>
    </section>
  );
}

const spotWords = (spot: Spot | null, count: number): string =>
  spot
    ? `${count} group${count === 1 ? " responds" : "s respond"} here as strongly as on ${count === 1 ? "its" : "their"} own crops, or more.`
    : "Point at a place, a group or a neuron to highlight what belongs to it.";

/** From picture to picture. */
function Steps({ live }: { live: Live }) {
  const { samples, pictures, place, busy } = live;
  const { name, label } = pictures[place]!.shown.report;
  const key = live.keyOf(place);
  const now = key?.startsWith("s") ? Number(key.slice(1)) : -1;
  const go = (step: number) =>
    live.show(
      `s${(now < 0 ? (step > 0 ? 0 : samples.length - 1) : now + step + samples.length) % samples.length}`,
      place,
    );
  return (
    <div class="why-steps">
      <button aria-label="Previous picture" disabled={!samples.length || busy} onClick={() => go(-1)}>
        ← Previous<i class="word"> picture</i>
      </button>
      <span>
        <b>{fileName(name)}</b> {label && <small>true class: {label}</small>}
        {pictures.length > 1 &&
          pictures.map((picture, i) => (
            <button key={picture.number} aria-pressed={i === place} onClick={() => live.look(i)}>
              Picture {"AB"[i]}
            </button>
          ))}
      </span>
      <button aria-label="Next picture" disabled={!samples.length || busy} onClick={() => go(1)}>
        Next<i class="word"> picture</i> →
      </button>
    </div>
  );
}
