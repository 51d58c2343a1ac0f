/** The groups by their effect on one picture, strongest first, each beside what random neurons do. */

import type { Circuit } from "../circuit/circuit";
import { plural, signed } from "../shared/format";
import { Listing } from "../shared/listing";
import type { GroupEffect, GroupReading } from "../shared/types";
import { standsOut, stateOf, type Why } from "./effects";
import { Known, MaskSwitch } from "./firing";
import type { Live } from "./state";

interface ListProps {
  live: Live;
  circuit: Circuit;
  why: Why | null;
  readings: GroupReading[];
  selected: string | null;
  /** groups that what is pointed at lights up */
  lit: ReadonlySet<string>;
  onHover: (id: string | null) => void;
  onSelect: (id: string | null) => void;
}

const LISTED = 14;

export function EffectList({ why, ...props }: ListProps) {
  const { live } = props;
  if (!why)
    return (
      <div class="effects">
        {live.status && !live.status.maskable ? (
          <p class="quiet">The target of this circuit is a neuron: groups cannot be masked.</p>
        ) : (
          <Skeleton />
        )}
      </div>
    );
  const { effects, answer, rival, compared } = why;
  const largest = Math.max(...effects.map(({ effect, random }) => reach(effect, random)), 1e-6);
  return (
    <div class="effects">
      <h2>
        Groups by their effect{" "}
        <small>
          on the logit of {answer.name}
          {rival && ` minus that of ${rival.name}`}: {signed(why.value)} without masks. Hatched: the same number of
          random neurons.
          {compared < effects.length && ` ${compared} of ${plural(effects.length, "group")} compared …`}
        </small>
      </h2>
      <Listing class="effect-list" count={LISTED} all={effects}>
        {(effect) => <EffectRow key={effect.id} found={effect} largest={largest} {...props} />}
      </Listing>
    </div>
  );
}

const reach = (effect: number, random: GroupEffect["random"]): number =>
  Math.max(Math.abs(effect), Math.abs(random?.[1] ?? 0), Math.abs(random?.[2] ?? 0));

interface RowProps extends Omit<ListProps, "why"> {
  found: GroupEffect;
  largest: number;
}

function EffectRow({ found, largest, live, circuit, readings, selected, lit, onHover, onSelect }: RowProps) {
  const { id, effect, random } = found;
  const chosen = id === selected;
  const reading = readings.find((each) => each.id === id);
  const at = (value: number) => `${50 + (50 * value) / largest}%`;
  const name = circuit.groups.get(id)?.label ?? id;
  return (
    <li
      class={`${chosen ? "chosen" : ""}${lit.has(id) ? " lit" : ""}${standsOut(found) === false ? " faint" : ""}`}
      data-effect={id}
      onMouseEnter={() => onHover(id)}
      onMouseLeave={() => onHover(null)}
    >
      <button
        class="effect-name"
        aria-pressed={chosen}
        title={random ? `${id}; random neurons: ${signed(random[1])} to ${signed(random[2])}` : id}
        onClick={() => onSelect(chosen ? null : id)}
        onFocus={() => onHover(id)}
        onBlur={() => onHover(null)}
      >
        <Known circuit={circuit} id={id} count={3} />
        <small title="active: about as strong as on its own crops">{reading ? stateOf(reading, found) : ""}</small>
        <span class="shift" aria-hidden="true">
          {random && (
            <span
              class="random-band"
              style={{ left: at(random[1]), width: `${(50 * (random[2] - random[1])) / largest}%` }}
            />
          )}
          <span class="origin" style={{ left: "50%" }} />
          <span
            class={`effect-bar ${effect < 0 ? "against" : "for"}`}
            style={{ left: at(Math.min(effect, 0)), width: `${(50 * Math.abs(effect)) / largest}%` }}
          />
        </span>
        <b class={`number ${effect < 0 ? "against" : "for"}`}>{signed(effect)}</b>
      </button>
      <MaskSwitch live={live} id={id} name={name} />
      {chosen && <Scrub live={live} id={id} />}
    </li>
  );
}

/** Masks one group as far as the reader drags. */
function Scrub({ live, id }: { live: Live; id: string }) {
  const value = live.masked.has(id) ? Math.round(live.depth * 100) : 0;
  return (
    <label class="scrub">
      <span>
        masked <b>{value} %</b>
      </span>
      <input
        type="range"
        min="0"
        max="100"
        value={value}
        disabled={!live.status?.maskable || live.by === "mean"}
        aria-label="How far the group is masked"
        aria-valuetext={`${value} %`}
        onInput={(event) => live.scrub(id, Number(event.currentTarget.value) / 100)}
      />
    </label>
  );
}

/** What stands where rows will be. */
export function Skeleton({ rows = 8 }: { rows?: number }) {
  return (
    <div class="skeleton" aria-hidden="true">
      {[...Array(rows).keys()].map((i) => (
        <span key={i} />
      ))}
    </div>
  );
}
