/** One picture: where the selected group fires, what the network answers, and how a mask changes that. */

import type { Circuit } from "../circuit/circuit";
import { Drawn } from "../shared/drawn";
import { answer, fileName, fixed, signed } from "../shared/format";
import { same } from "../shared/labels";
import type { Effect, GroupReading, Prediction } from "../shared/types";
import { LETTERS } from "./lit";
import type { Live } from "./state";

const SHOWN = 4;

interface PictureProps {
  live: Live;
  place: number;
  selected: string | null;
  circuit: Circuit;
}

export function PictureCard({ live, place, selected, circuit }: PictureProps) {
  const { pictures, whatIf, remove, busy } = live;
  const { report } = pictures[place]!.shown;
  const effect = whatIf?.effects[place];
  const reading = report.groups.find(({ id }) => id === selected);
  const top = report.top[0]!;
  const now = effect?.after[0] ?? top;
  return (
    <section class="tried" aria-label={`Picture ${LETTERS[place]}`}>
      <div class="tried-head">
        {pictures.length > 1 && <span class="letter">{LETTERS[place]}</span>}
        <span class="tried-name" title={report.name}>
          {fileName(report.name)}
        </span>
        {report.label && <small title="true class">{report.label}</small>}
        <button class="link" onClick={() => remove(place)} aria-label={`Remove ${report.name}`}>
          ✕
        </button>
      </div>
      <div class="tried-body">
        <Drawn shown={pictures[place]!.shown} reading={reading} />
        <div aria-live="polite" data-testid={`answer-${place}`}>
          <p class="verdict-line">
            <b class={report.label && !same(report.label, now.name) ? "against" : ""}>{now.name}</b>{" "}
            {answer(now, tenths)}
          </p>
          <p class="quiet">
            {live.unanswered
              ? live.error
                ? "This is the answer without the mask. The answer with the mask could not be computed."
                : "Waiting for the answer with the mask …"
              : effect
                ? was(top, now)
                : about(reading, selected)}
          </p>
          <Answers before={effect?.before ?? report.top} after={effect?.after} />
        </div>
      </div>
      <TargetLine target={circuit.data.target} value={report.target} effect={effect} busy={busy} place={place} />
    </section>
  );
}

const was = (top: Prediction, now: Prediction): string =>
  `was ${now.index === top.index ? "" : `${top.name} `}${answer(top, tenths)}`;

const tenths = (share: number): string => `${(share * 100).toFixed(1)} %`;

function about(reading: GroupReading | undefined, selected: string | null): string {
  if (!reading)
    return selected ? "The threshold of this group was not measured." : "Select a group to see where it responds.";
  const share = `${Math.round(reading.score * 100)} % of its typical strength`;
  return reading.fires ? `Active: ${share}` : `Silent: ${share}`;
}

/** The target's activation before and after a mask, next to the effect of random neurons. */
export function TargetLine({
  target,
  value,
  effect,
  busy,
  place,
}: {
  target: string;
  value: number;
  effect: Effect | undefined;
  busy: boolean;
  place: number;
}) {
  if (!effect)
    return (
      <p class="quiet">
        {target} logit <b class="number">{fixed(value, 2)}</b>
      </p>
    );
  const change = effect.target_after - effect.target_before;
  const { random } = effect;
  const [, low, high] = random ?? [0, 0, 0];
  const reach = Math.max(Math.abs(change), Math.abs(low), Math.abs(high), 0.5) * 1.1;
  const at = (x: number) => `${(((x + reach) / (2 * reach)) * 100).toFixed(1)}%`;
  return (
    <div class="target-line">
      <p>
        {target} logit {fixed(effect.target_before, 2)} →{" "}
        <b data-testid={`after-${place}`} data-value={effect.target_after}>
          {fixed(effect.target_after, 2)}
        </b>{" "}
        <span class={change < 0 ? "against" : "for"}>({signed(change)})</span>
      </p>
      <div class="shift" aria-hidden="true">
        {random && <span class="random-band" style={{ left: at(low), right: `calc(100% - ${at(high)})` }} />}
        <span class="origin" style={{ left: at(0) }} />
        <span
          class={`arrow ${change < 0 ? "against" : "for"}`}
          style={{ left: at(Math.min(change, 0)), right: `calc(100% - ${at(Math.max(change, 0))})` }}
        />
        <span class={`point ${change < 0 ? "against" : "for"}`} style={{ left: at(change) }} />
      </div>
      <p class="quiet" data-testid={`random-${place}`}>
        {random
          ? `random neurons: ${signed(low)} … ${signed(high)}`
          : busy
            ? "measuring random neurons for comparison …"
            : "no other neurons for comparison"}
      </p>
    </div>
  );
}

/** The most probable classes; a tick marks the probability before the mask. */
export function Answers({ before, after }: { before: Prediction[]; after: Prediction[] | undefined }) {
  const then = new Map(before.map((each) => [each.index, each]));
  const now = after ?? before;
  return (
    <ol class="answers live-answers">
      {now.slice(0, SHOWN).map(({ index, name, probability, logit }) => {
        const was = then.get(index);
        return (
          <li
            key={index}
            title={after && was ? `logit ${fixed(was.logit, 2)} → ${fixed(logit, 2)}` : `logit ${fixed(logit, 2)}`}
          >
            <span class="tried-name">{name}</span>
            <span class="number">{answer({ logit, probability }, percentOf)}</span>
            <span class="number quiet logit">{fixed(logit, 1)}</span>
            <span class="share">
              <span style={{ width: `${(probability ?? 0) * 100}%` }} />
              {after && was && <i style={{ left: `${(was.probability ?? 0) * 100}%` }} />}
            </span>
          </li>
        );
      })}
    </ol>
  );
}

const percentOf = (share: number): string => `${(share * 100).toFixed(share < 0.9995 && share >= 0.0995 ? 0 : 1)} %`;
