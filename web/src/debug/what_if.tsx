/** The effect of masking groups, compared with that of random neurons. */

import { answer, fixed, plural, signed } from "../shared/format";
import type { DebugPageData, Effect, Interval, Prediction, WhatIf } from "../shared/types";
import { GroupTitle } from "./group_title";

const LISTED = 12;

interface Props {
  data: DebugPageData;
  whatIf: WhatIf;
  onOpen: (name: string) => void;
}

export function WhatIfView({ data, whatIf, onOpen }: Props) {
  const { change, overall, effects, crops } = whatIf;
  const how =
    change.by === "zero" ? "set to zero" : change.by === "mean" ? "set to their mean" : `scaled by ${change.by}`;
  const falls = [...effects].sort((a, b) => fall(a) - fall(b));
  const one = effects.length === 1 ? effects[0] : undefined;
  return (
    <section>
      <h2>{change.keep ? "With only these groups" : "Without these groups"}</h2>
      <div class="changed">
        {change.groups.map((id) => (
          <GroupTitle key={id} data={data} id={id} count={6} />
        ))}
        <p class="quiet">
          {Object.entries(change.neurons)
            .map(
              ([layer, neurons]) =>
                `${change.keep ? "all other neurons" : plural(neurons.length, "neuron")} of ${layer}`,
            )
            .join(", ")}{" "}
          {how}, compared with {plural(whatIf.draws, "set")} of the same number of random neurons
          {whatIf.matched != null && <> with {Math.round(whatIf.matched * 100)} % of their activation</>}.
        </p>
      </div>
      {overall && <Figures overall={overall} target={data.target} />}
      {one ? (
        <BeforeAfter effect={one} target={data.target} />
      ) : (
        <>
          <h3>Where {data.target} falls most</h3>
          <table>
            <thead>
              <tr>
                <th>picture</th>
                <th>before</th>
                <th>after</th>
                <th>{data.target}</th>
                <th>random</th>
              </tr>
            </thead>
            <tbody>
              {falls.slice(0, LISTED).map((effect) => (
                <tr key={effect.name}>
                  <td>
                    <button class="link" onClick={() => onOpen(effect.name)}>
                      <Thumb data={data} name={effect.name} /> {effect.name}
                    </button>
                  </td>
                  <td>{effect.before[0]!.name}</td>
                  <td class={effect.before[0]!.index === effect.after[0]!.index ? "" : "flipped"}>
                    {effect.after[0]!.name}
                  </td>
                  <td class="number">{signed(fall(effect))}</td>
                  <td class="number quiet">{span(effect.random)}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </>
      )}
      <h3>Crops on which {data.target} falls most</h3>
      <div class="crop-effects">
        {crops.map(({ name, box, before, after }) => (
          <figure key={`${name}${box}`}>
            <Cut data={data} name={name} box={box} />
            <figcaption class="number">{signed(after - before)}</figcaption>
          </figure>
        ))}
      </div>
    </section>
  );
}

const fall = (effect: Effect): number => effect.target_after - effect.target_before;
const span = (value: Interval | null | undefined): string =>
  value ? `${signed(value[1])} … ${signed(value[2])}` : "not measured";

function Figures({ overall, target }: { overall: NonNullable<WhatIf["overall"]>; target: string }) {
  const { accuracy_before: before, accuracy_after: after, accuracy_random: random } = overall;
  return (
    <ul class="figures">
      {before != null && after != null && (
        <li>
          <b>
            {(before * 100).toFixed(1)} → {(after * 100).toFixed(1)} %
          </b>
          <span>
            accuracy on {plural(overall.labelled, "picture")}
            {random && `; random neurons ${(random[1] * 100).toFixed(1)} to ${(random[2] * 100).toFixed(1)} %`}
          </span>
        </li>
      )}
      <li>
        <b>{signed(overall.change)}</b>
        <span>
          {target}, on average; random neurons {span(overall.change_random)}
        </span>
      </li>
      <li>
        <b>{overall.flips.length}</b>
        <span>of {overall.pictures} pictures get another top class</span>
      </li>
    </ul>
  );
}

/** The top classes of one picture, before and after. */
function BeforeAfter({ effect, target }: { effect: Effect; target: string }) {
  return (
    <>
      <p>
        {target} {fixed(effect.target_before, 2)} → <b>{fixed(effect.target_after, 2)}</b> ({signed(fall(effect))},
        random neurons {span(effect.random)})
      </p>
      <table class="before-after">
        <thead>
          <tr>
            <th>class</th>
            <th>before</th>
            <th>after</th>
            <th title="difference of the logits">logit</th>
          </tr>
        </thead>
        <tbody>
          {union(effect).map(({ name, before, after }) => (
            <tr key={name}>
              <td>{name}</td>
              <td>
                <Share of={before} />
              </td>
              <td>
                <Share of={after} />
              </td>
              <td class="number">{before && after ? signed(after.logit - before.logit) : ""}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </>
  );
}

interface Pair {
  name: string;
  before: Prediction | undefined;
  after: Prediction | undefined;
}

/** The classes among the top ones before or after, the most probable first. */
function union({ before, after }: Effect): Pair[] {
  const names = [...new Set([...before, ...after].map(({ name }) => name))];
  const of = (top: Prediction[], name: string) => top.find((found) => found.name === name);
  const best = ({ before, after }: Pair) => Math.max(before?.logit ?? -Infinity, after?.logit ?? -Infinity);
  return names
    .map((name) => ({ name, before: of(before, name), after: of(after, name) }))
    .sort((a, b) => best(b) - best(a));
}

/** A probability as a bar and a figure; unknown for a class that is not among the top ones. */
function Share({ of }: { of: Prediction | undefined }) {
  if (!of) return <span class="quiet">not in the top classes</span>;
  return (
    <span class="answer" title={`logit ${fixed(of.logit, 2)}`}>
      <span class="share">
        <span style={{ width: `${(of.probability ?? 0) * 100}%` }} />
      </span>
      <span class="number">{answer(of)}</span>
    </span>
  );
}

export function Thumb({ data, name }: { data: DebugPageData; name: string }) {
  const found = data.pictures.find(({ report }) => report.name === name);
  return found ? <img class="thumb" src={found.picture} alt="" /> : null;
}

/** A crop, cut out of its picture. */
function Cut({
  data,
  name,
  box: [left, top, right, bottom],
}: {
  data: DebugPageData;
  name: string;
  box: [number, number, number, number];
}) {
  const found = data.pictures.find(({ report }) => report.name === name);
  if (!found) return null;
  const [width, height] = found.size;
  return (
    <svg
      class="cut-out"
      viewBox={`${left} ${top} ${right - left} ${bottom - top}`}
      role="img"
      aria-label={`crop of ${name}`}
    >
      <title>{`${name}, ${right - left} px square at ${left}, ${top}`}</title>
      <image href={found.picture} x="0" y="0" width={width} height={height} preserveAspectRatio="none" />
    </svg>
  );
}
