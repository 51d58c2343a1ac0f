/** The mistakes of a class: which groups tell them from the right answers, and each mistake. */

import { fixed, plural, weightsAs } from "../shared/format";
import type { DebugPageData, GroupContrast, Mistake, Mistakes } from "../shared/types";
import { Whisker } from "../shared/whisker";
import { GroupTitle } from "./group_title";
import { Thumb } from "./what_if";

const LISTED = 8;

interface Props {
  data: DebugPageData;
  mistakes: Mistakes;
  /** show only missed pictures that are classified as this; null shows all pictures */
  called: string | null;
  onCalled: (name: string | null) => void;
  onOpen: (name: string) => void;
}

export function MistakesView({ data, mistakes, called, onCalled, onOpen }: Props) {
  const { missed, taken, missed_for: counts } = mistakes;
  return (
    <section>
      <h2>
        {data.target}: {mistakes.right} recognised, {missed.length} missed, {plural(taken.length, "other")} mistaken for
        it
      </h2>
      {missed.length > 0 && (
        <p class="called">
          The missed pictures are classified as{" "}
          {Object.entries(counts).map(([name, count]) => (
            <button
              class="chip"
              key={name}
              aria-pressed={name === called}
              title={name === called ? "Show all pictures below" : "Show only these pictures below"}
              onClick={() => onCalled(name === called ? null : name)}
            >
              {name} <b>{count}</b>
            </button>
          ))}
        </p>
      )}
      <Contrasts
        data={data}
        title="Missed pictures compared with recognised ones"
        here="on missed"
        there="on recognised"
        all={mistakes.why_missed}
      />
      <Contrasts
        data={data}
        title={`Pictures mistaken for ${data.target} compared with others`}
        here="on mistaken"
        there="on others"
        all={mistakes.why_taken}
      />
      <List data={data} title="Missed" all={missed} onOpen={onOpen} />
      <List data={data} title="Mistaken for it" all={taken} onOpen={onOpen} />
    </section>
  );
}

interface ContrastProps {
  data: DebugPageData;
  title: string;
  here: string;
  there: string;
  all: GroupContrast[];
}

function Contrasts({ data, title, here, there, all }: ContrastProps) {
  if (!all.length) return null;
  return (
    <>
      <h3>
        {title} <small>how often a group fires, with 95 % intervals; z: difference divided by its standard error</small>
      </h3>
      <table>
        <thead>
          <tr>
            <th>group</th>
            <th>{here}</th>
            <th>{there}</th>
            <th title="weight along all paths to the target">weight</th>
            <th title="difference divided by its standard error">z</th>
          </tr>
        </thead>
        <tbody>
          {all.slice(0, LISTED).map((contrast) => (
            <tr key={contrast.id}>
              <td>
                <GroupTitle data={data} id={contrast.id} count={6} />
              </td>
              <td>
                <Whisker value={contrast.on_mistakes} kind="against" />
              </td>
              <td>
                <Whisker value={contrast.on_others} />
              </td>
              <td class="number">{weightsAs(data.shares)(contrast.reach)}</td>
              <td class="number">{fixed(contrast.evidence, 1)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </>
  );
}

function List({
  data,
  title,
  all,
  onOpen,
}: {
  data: DebugPageData;
  title: string;
  all: Mistake[];
  onOpen: (name: string) => void;
}) {
  if (!all.length) return null;
  return (
    <details class="mistakes" open={all.length <= LISTED}>
      <summary>
        {title}{" "}
        <small>
          {plural(all.length, "picture")}, each with the groups that deviate most from {data.target}
        </small>
      </summary>
      <ul>
        {all.map((mistake) => (
          <li key={mistake.name}>
            <button onClick={() => onOpen(mistake.name)} title={mistake.name}>
              <Thumb data={data} name={mistake.name} />
              <span>{mistake.predicted}</span>
            </button>
            <span class="unlike">
              {mistake.groups.slice(0, 3).map((group) => (
                <span
                  key={group.id}
                  class={group.unlike < 0 ? "under" : "over"}
                  title={`${fixed(group.unlike, 1)} standard deviations from the typical score`}
                >
                  <small>{group.unlike < 0 ? "less" : "more"}</small>
                  <GroupTitle data={data} id={group.id} count={2} />
                </span>
              ))}
            </span>
          </li>
        ))}
      </ul>
    </details>
  );
}
