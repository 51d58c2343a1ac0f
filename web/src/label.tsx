/** What stands behind a group's label: how it fared on crops the labeler did not see, who gave it. */

import { signed } from "./format";
import type { EvidenceData, GroupData, Interval, Validation } from "./types";

/** Whether a label failed its test: it is marked so wherever it appears. */
export const doubtful = (group: { evidence: EvidenceData | null }): boolean =>
  group.evidence?.validation != null && group.evidence.doubt !== null;

/** What a card's tooltip says of the label. */
export const doubtOf = (group: GroupData): string =>
  doubtful(group) ? `, label ${group.evidence!.doubt}` : "";

export function LabelSection({ group }: { group: GroupData }) {
  const evidence = group.evidence;
  if (!evidence || !group.label) return null;
  return (
    <section class="label-evidence" aria-label="Evidence for the label">
      <p class="quiet">
        Named {SOURCES[evidence.source] ?? "by"} <b>{evidence.author}</b>, {evidence.time.slice(0, 10)}
        {evidence.pinned && ", pinned"}
        {evidence.confidence !== null && `; confident to ${evidence.confidence.toFixed(2)} by its own word`}.
      </p>
      {evidence.validation ? <Test found={evidence.validation} /> : <p class="verdict">Not validated on unseen crops.</p>}
      {evidence.concept && (
        <p class="quiet">
          On pictures of named concepts, “{evidence.concept.concept}” excites the group more than the others with a chance
          of {interval(evidence.concept.auc)} (0.50 is none): place {evidence.concept.rank} of {evidence.concept.concepts}, first
          is “{evidence.concept.best}”.
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
          Contrast with other crops, in standard deviations:{" "}
          {evidence.words.map(([word, score]) => `${word} ${signed(score)}`).join(", ")}.
        </p>
      )}
      {evidence.combination && <p class="quiet">From below: {evidence.combination}</p>}
    </section>
  );
}

const SOURCES: Record<string, string> = { model: "by the model", words: "from a vocabulary by", person: "by" };

function Test({ found }: { found: Validation }) {
  const beats = found.auprc[0] > found.chance[2];
  return (
    <>
      <p class={`verdict ${beats ? "for" : "against"}`}>
        {beats ? "Tells unseen crops of the group from others." : "Does not beat chance on unseen crops."}
      </p>
      <div class="trust" role="img" aria-label={`AUPRC ${interval(found.auprc)}, chance ${interval(found.chance)}`}>
        <Row name="this label" figure={found.auprc} chance={found.chance} />
        {found.constant && <Row name={`“${found.constant.text}”`} figure={found.constant.auprc} chance={found.chance} />}
      </div>
      <p class="quiet">
        AUPRC of {found.judge}, told the label alone: {found.held_out} crops of the group that the labeler did not see among{" "}
        {found.random} random and {found.hard} of sibling groups. Shaded: chance. Accuracy {interval(found.accuracy)}, chance
        0.50.
        {found.constant && ` Gain over the target's name: ${signed(found.constant.gain[0])} [${signed(found.constant.gain[1])}, ${signed(found.constant.gain[2])}].`}
      </p>
    </>
  );
}

/** A figure from 0 to 1 with its interval, on the range of chance. */
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

const between = ([, low, high]: Interval) => ({ left: `${low * 100}%`, width: `${(high - low) * 100}%` });
const interval = ([value, low, high]: Interval): string =>
  `${value.toFixed(2)} [${low.toFixed(2)}, ${high.toFixed(2)}]`;
