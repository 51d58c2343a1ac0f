/** Details of a class: its groups, similar classes, and the groups that it shares with one of them. */

import { useEffect, useRef, useState } from "preact/hooks";
import { plural } from "../shared/format";
import { Bar, Listing } from "../shared/listing";
import { picturesAt, Strip } from "../shared/strip";
import type { AtlasPageData, ClassData, SharedGroups } from "../shared/types";
import { nameOf } from "./find";
import { faceOf } from "./map";

interface PanelProps {
  data: AtlasPageData;
  place: number;
  onChoose: (place: number | null) => void;
}

export function Panel({ data, place, onChoose }: PanelProps) {
  const one = data.classes[place]!;
  const largest = data.shares ? 1 : Math.max(...one.portrait.map(([, weight]) => Math.abs(weight)));
  const box = useRef<HTMLElement>(null);
  useEffect(() => {
    box.current!.scrollTop = 0;
    box.current!.focus({ preventScroll: true });
  }, [place]);
  return (
    <aside class="panel" ref={box} tabIndex={-1} aria-label={one.target}>
      <button class="close" aria-label="Close" onClick={() => onChoose(null)}>
        ×
      </button>
      <h2>{one.target}</h2>
      <p class="quiet">
        {plural(one.groups, "group")} of {plural(one.neurons, "neuron")}, {plural(one.edges, "edge")}; found on{" "}
        {plural(one.images, "picture")} cut into {plural(one.crops, "crop")}.
      </p>
      <Lead data={data} one={one} />
      {one.own && (
        <section>
          <h3>Strongest crops</h3>
          <Strip pictures={picturesAt(data.pictures, one.shown[one.own]?.pictures)} kind="crops" />
        </section>
      )}
      {one.portrait.length > 0 && (
        <section>
          <h3>Strongest groups</h3>
          <ul class="edge-list" data-list="portrait">
            {one.portrait.map(([group, weight]) => (
              <li key={group}>
                <div class="group-row">
                  <Strip pictures={picturesAt(data.pictures, one.shown[group]?.pictures)} />
                  <span class="edge-name" title={group}>
                    {nameOf(one, group)}
                  </span>
                  <Bar weight={weight} largest={largest} shares={data.shares} />
                </div>
              </li>
            ))}
          </ul>
        </section>
      )}
      <section>
        <h3>
          Most similar circuits <small>share of common core neurons</small>
        </h3>
        {one.nearest.length === 0 && <p class="quiet">No other circuit has a layer in common with this one.</p>}
        <Listing all={one.nearest} count={5} class="nearest-list" name="nearest">
          {([other, likeness]) => (
            <li key={other}>
              <button onClick={() => onChoose(other)}>
                <Face data={data} place={other} />
                <span class="edge-name">{data.classes[other]!.target}</span>
                <Share value={likeness} />
              </button>
              {data.links === "served" && (
                <a class="versus" href={comparisonOf(one, data.classes[other]!)}>
                  compare
                  <span class="unseen">
                    {" "}
                    {one.target} with {data.classes[other]!.target}
                  </span>
                </a>
              )}
            </li>
          )}
        </Listing>
      </section>
      <Shared key={place} data={data} one={one} />
    </aside>
  );
}

/** The way to the circuit of a class. */
function Lead({ data, one }: { data: AtlasPageData; one: ClassData }) {
  if (data.links === "none")
    return (
      <p class="lead">
        Its circuit: <code>neurflow explore {`${data.sweep}/circuits/${one.circuit}`}</code>
      </p>
    );
  return (
    <p class="lead">
      <a href={`circuits/${encodeURIComponent(one.circuit)}.html`}>Open its circuit</a>
    </p>
  );
}

export function Face({ data, place }: { data: AtlasPageData; place: number }) {
  return <Strip pictures={[{ source: faceOf(data, place) }]} />;
}

/** A similarity from 0 to 1. */
function Share({ value }: { value: number }) {
  return (
    <span class="bar">
      <span class="fill for" style={{ width: `${Math.max(value, 0) * 100}%` }} />
      <span class="number">{value.toFixed(2)}</span>
    </span>
  );
}

const MEASURES: [SharedGroups["by"], string, string][] = [
  ["neurons", "by neurons", "the same neurons"],
  ["crops", "by crops", "crops that look similar to the layer below"],
];

function Shared({ data, one }: { data: AtlasPageData; one: ClassData }) {
  const others = [...new Set(one.shared.map(({ other }) => other))].sort((a, b) => rank(one, a) - rank(one, b));
  const [other, setOther] = useState(others[0] ?? one.nearest[0]?.[0] ?? null);
  const [wish, setWish] = useState<SharedGroups["by"]>("crops");
  if (other === null) return null;
  const of = (measure: SharedGroups["by"]) => one.shared.filter((each) => each.other === other && each.by === measure);
  const by = of(wish).length ? wish : (MEASURES.find(([measure]) => of(measure).length)?.[0] ?? wish);
  const theirs = data.classes[other]!;
  return (
    <section>
      <h3>
        <label>
          Groups shared with{" "}
          <select value={other} onChange={(event) => setOther(Number(event.currentTarget.value))}>
            {(others.length ? others : [other]).map((each) => (
              <option key={each} value={each}>
                {data.classes[each]!.target}
              </option>
            ))}
          </select>
        </label>
      </h3>
      <div class="choices" role="group" aria-label="What makes groups the same">
        {MEASURES.map(([measure, text, why]) => (
          <button
            key={measure}
            aria-pressed={by === measure}
            disabled={!of(measure).length}
            title={why}
            onClick={() => setWish(measure)}
          >
            {text} <small>{of(measure).length}</small>
          </button>
        ))}
      </div>
      {!of(by).length && <p class="quiet">None: no two groups of these circuits are similar enough.</p>}
      <ul class="shared-groups" data-list="shared">
        {of(by).map(({ group, match, layer, similarity }) => (
          <li key={group}>
            <span class="facing">
              <Strip pictures={picturesAt(data.pictures, one.shown[group]?.pictures)} />
              <span title={group}>{one.shown[group]?.label ?? ""}</span>
            </span>
            <span class="number" title={`${group} here, ${match} there`}>
              {similarity.toFixed(2)}
              <small>{layer}</small>
            </span>
            <span class="facing">
              <Strip pictures={picturesAt(data.pictures, theirs.shown[match]?.pictures)} />
              <span title={match}>{theirs.shown[match]?.label ?? ""}</span>
            </span>
          </li>
        ))}
      </ul>
      {data.links === "served" && (
        <p class="lead">
          <a href={comparisonOf(one, theirs)}>Both circuits side by side</a>
        </p>
      )}
    </section>
  );
}

const comparisonOf = (one: ClassData, other: ClassData): string =>
  `compare/${encodeURIComponent(one.circuit)}/${encodeURIComponent(other.circuit)}.html`;

const rank = (one: ClassData, other: number): number => one.nearest.findIndex(([place]) => place === other);
