/** The evidence for a group's label: who gave it, and how it was validated. */

import { signed } from "../shared/format";
import type { EvidenceData, GroupData, Interval, Validation } from "../shared/types";

/** Whether a label failed its validation. Such labels are marked wherever they appear. */
export const doubtful = (group: { evidence: EvidenceData | null }): boolean =>
  group.evidence?.validation != null && group.evidence.doubt !== null;

/** The doubt about a label, for the tooltip of a card. */
export const doubtOf = (group: GroupData): string => (doubtful(group) ? `, label ${group.evidence!.doubt}` : "");

export function LabelSection({ group }: { group: GroupData }) {
  const evidence = group.evidence;
  if (!evidence || !group.label) return null;
  return (
    <section class="label-evidence" aria-label="Evidence for the label">
      <p class="quiet">
        Named {SOURCES[evidence.source] ?? "by"} <b>{evidence.author}</b>, {evidence.time.slice(0, 10)}
        {evidence.pinned && ", pinned"}
        {evidence.confidence !== null && `; its own confidence: ${evidence.confidence.toFixed(2)}`}.
      </p>
      {evidence.validation ? (
        <Test found={evidence.validation} doubt={evidence.doubt} />
      ) : (
        <p class="verdict">This label has not been validated.</p>
      )}
      {evidence.concept && (
        <p class="quiet">
          On pictures of named concepts, the group's activation finds “{evidence.concept.concept}” with an AUPRC of{" "}
          {interval(evidence.concept.auprc)} (chance: {evidence.concept.share.toFixed(2)}). That is rank{" "}
          {evidence.concept.rank} of {evidence.concept.concepts} concepts; the best is “{evidence.concept.best}”.
        </p>
      )}
      {evidence.features.length > 0 && (
        <ul class="features">
          {evidence.features.map((feature, i) => (
            <li key={i}>{feature}</li>
          ))}
        </ul>
      )}
      {evidence.words.length > 0 && (
        <p class="quiet">
          Words that fit its crops better than others, in standard deviations:{" "}
          {evidence.words.map(([word, score]) => `${word} ${signed(score)}`).join(", ")}.
        </p>
      )}
      {evidence.combination && <p class="quiet">Combination of groups below: {evidence.combination}</p>}
    </section>
  );
}

const SOURCES: Record<string, string> = { model: "by the model", words: "from a vocabulary by", person: "by" };

function Test({ found, doubt }: { found: Validation; doubt: string | null }) {
  return (
    <>
      <p class={`verdict ${doubt ? "against" : "for"}`}>
        {doubt
          ? `On unseen crops the label ${said(doubt)}.`
          : "The label distinguishes unseen crops of the group from others."}
      </p>
      <div class="trust" role="img" aria-label={`AUPRC ${interval(found.auprc)}, chance ${interval(found.chance)}`}>
        <Row name="this label" figure={found.auprc} chance={found.chance} />
        {found.others && <Best name={`“${found.others.best}”`} value={found.others.auprc} chance={found.chance} />}
        {found.constant && (
          <Row name={`“${found.constant.text}”`} figure={found.constant.auprc} chance={found.chance} />
        )}
      </div>
      <p class="quiet">
        {found.judge} was given the label alone and had to find {found.held_out} crops of the group, unseen by the
        labeler, among {found.random} random crops and {found.hard} of other groups in the layer. Dots: AUPRC; shaded:
        chance.
        {found.others && ` ${found.others.as_good} of ${found.others.count} other labels fit at least as well.`}
        {found.nonsense &&
          ` ${found.nonsense.as_good} of ${found.nonsense.count} meaningless texts fit at least as well.`}
        {found.constant &&
          ` Gain over the target's name: ${signed(found.constant.gain[0])} [${signed(found.constant.gain[1])}, ${signed(found.constant.gain[2])}].`}
      </p>
    </>
  );
}

const said = (doubt: string): string => (doubt.startsWith("not ") ? `is ${doubt}` : doubt);

/** A figure from 0 to 1 with its interval, drawn over the range of chance. */
function Row({ name, figure, chance }: { name: string; figure: Interval; chance: Interval }) {
  return (
    <>
      <span class="trust-name">{name}</span>
      <span class="track">
        <span class="chance" style={between(chance)} />
        <span class="whisker" style={between(figure)} />
        <span class="dot" style={{ left: `${figure[0] * 100}%` }} />
      </span>
      <span class="number">{figure[0].toFixed(2)}</span>
    </>
  );
}

/** The best of other labels: a figure without an interval. */
function Best({ name, value, chance }: { name: string; value: number; chance: Interval }) {
  return (
    <>
      <span class="trust-name">{name}</span>
      <span class="track">
        <span class="chance" style={between(chance)} />
        <span class="dot" style={{ left: `${value * 100}%` }} />
      </span>
      <span class="number">{value.toFixed(2)}</span>
    </>
  );
}

const between = ([, low, high]: Interval) => ({ left: `${low * 100}%`, width: `${(high - low) * 100}%` });
const interval = ([value, low, high]: Interval): string =>
  `${value.toFixed(2)} [${low.toFixed(2)}, ${high.toFixed(2)}]`;
