/** The explanation of one picture: which groups fire, where, and which are missing. */

import { useState } from "preact/hooks";
import { Drawn } from "../shared/drawn";
import { answer, fileName, fixed, weightsAs } from "../shared/format";
import { same } from "../shared/labels";
import { Listing } from "../shared/listing";
import { Meter } from "../shared/meter";
import type { DebugPageData, GroupReading, ShownPicture } from "../shared/types";
import { GroupTitle } from "./group_title";

const LISTED = 8;

export function PictureView({ data, shown }: { data: DebugPageData; shown: ShownPicture }) {
  const { report } = shown;
  const byPathWeight = [...report.groups].sort((a, b) => Math.abs(b.reach) - Math.abs(a.reach));
  const firing = byPathWeight.filter((group) => group.fires);
  const missing = byPathWeight.filter((group) => group.missing);
  const [selected, select] = useState<string | null>(firing[0]?.id ?? missing[0]?.id ?? null);
  const reading = report.groups.find(({ id }) => id === selected);
  const wrong = report.label && !same(report.label, report.top[0]!.name);
  return (
    <div class="picture-view">
      <div class="picture-side">
        <h2 title={report.name}>
          {fileName(report.name)}
          {report.label && <small> labelled {report.label}</small>}
        </h2>
        <Drawn shown={shown} reading={reading} />
        <p class="quiet caption">
          {reading ? (
            <>
              <b>{data.groups[reading.id]?.label ?? reading.id}</b>:{" "}
              {reading.fires ? "its best crops and " : "silent here; "}the heat of its neurons
              {reading.heat?.length ? "" : " (this layer has no spatial map)"}.
            </>
          ) : (
            "Select a group to see where it responds."
          )}
        </p>
        {reading && <Chain data={data} reading={reading} onSelect={select} />}
        <ol class="answers">
          {report.top.map(({ name, probability, logit }, i) => (
            <li key={name} title={`logit ${fixed(logit, 2)}`}>
              <span class={i === 0 && wrong ? "against" : ""}>{name}</span>
              <span class="share">
                <span style={{ width: `${(probability ?? 0) * 100}%` }} />
              </span>
              <span class="number">{answer({ logit, probability }, share)}</span>
            </li>
          ))}
        </ol>
      </div>
      <div>
        <h3>
          What fires{" "}
          <small>
            {firing.length} of {report.groups.length} groups, by weight into {data.target}
          </small>
        </h3>
        <Readings data={data} all={firing} selected={selected} onSelect={select} />
        <h3>
          What is missing <small>groups that usually fire on {data.target} and are silent here</small>
        </h3>
        {missing.length ? (
          <Readings data={data} all={missing} selected={selected} onSelect={select} />
        ) : (
          <p class="quiet">None: every group that usually fires on {data.target} fires here.</p>
        )}
      </div>
    </div>
  );
}

interface ReadingsProps {
  data: DebugPageData;
  all: GroupReading[];
  selected: string | null;
  onSelect: (id: string) => void;
}

function Readings({ data, all, selected, onSelect }: ReadingsProps) {
  return (
    <>
      <p class="columns" aria-hidden="true">
        <span>group</span>
        <span>score; the tick: threshold</span>
        <span>in class</span>
        <span>weight</span>
      </p>
      <Listing class="readings" count={LISTED} all={all}>
        {(group) => (
          <li key={group.id}>
            <button
              aria-pressed={group.id === selected}
              onClick={() => onSelect(group.id)}
              title={`${fixed(group.unlike, 1)} standard deviations from the typical score`}
            >
              <GroupTitle data={data} id={group.id} />
              <Meter reading={group} />
              <span class="number" title="share of the class's pictures on which it fires">
                {Math.round(group.usual * 100)} %
              </span>
              <span
                class={`number ${group.reach < 0 ? "against" : "for"}`}
                title="weight along all paths to the target"
              >
                {weightsAs(data.shares)(group.reach)}
              </span>
            </button>
          </li>
        )}
      </Listing>
    </>
  );
}

const share = (of: number): string => `${(of * 100).toFixed(of < 0.0995 ? 1 : 0)} %`;

/** The chain of inputs: the strongest lower group that also fires, and so on down. */
function Chain({
  data,
  reading,
  onSelect,
}: {
  data: DebugPageData;
  reading: GroupReading;
  onSelect: (id: string) => void;
}) {
  if (!reading.chain?.length) return null;
  return (
    <div class="chain">
      <h3>Driven by</h3>
      <div>
        {reading.chain.map((id) => (
          <button key={id} onClick={() => onSelect(id)}>
            <GroupTitle data={data} id={id} count={2} />
          </button>
        ))}
      </div>
    </div>
  );
}
