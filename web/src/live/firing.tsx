/** The groups that fire, each with a switch that masks it. */

import { useState } from "preact/hooks";
import type { Circuit } from "../circuit";
import { CropPicture } from "../crop";
import { plural, signed } from "../format";
import { differing, firing, LETTERS, type Row } from "./lit";
import type { Live } from "./state";

const LISTED = 12;
const SCALE = 2;

interface FiringProps {
  live: Live;
  circuit: Circuit;
  selected: string | null;
  onSelect: (id: string) => void;
}

export function FiringList({ live, circuit, selected, onSelect }: FiringProps) {
  const [open, setOpen] = useState(false);
  const { pictures } = live;
  if (!pictures.length)
    return (
      <p class="quiet">
        With a picture, its groups light up in the circuit. Choose one to see where it fires; switch one off to see what the
        network says without it.
      </p>
    );
  const two = pictures.length > 1;
  const rows = two ? differing(firing(pictures)) : firing(pictures);
  const apart = rows.filter((row) => !row.readings.every(({ fires }) => fires)).length;
  return (
    <section>
      <h3>
        What fires{" "}
        <small>
          {two
            ? `${plural(apart, "group")} on one picture only, ${rows.length - apart} on both`
            : `${plural(rows.length, "group")}, those that carry most to ${circuit.data.target} first`}
        </small>
      </h3>
      <ul class="firing">
        {(open ? rows : rows.slice(0, LISTED)).map((row) => (
          <FiringRow key={row.id} row={row} live={live} circuit={circuit} selected={row.id === selected} onSelect={onSelect} two={two} />
        ))}
      </ul>
      {rows.length > LISTED && (
        <button class="more" onClick={() => setOpen(!open)}>{open ? "Show fewer" : `Show all ${rows.length}`}</button>
      )}
    </section>
  );
}

interface RowProps {
  row: Row;
  live: Live;
  circuit: Circuit;
  selected: boolean;
  two: boolean;
  onSelect: (id: string) => void;
}

function FiringRow({ row: { id, readings }, live, circuit, selected, two, onSelect }: RowProps) {
  const reach = readings[0]!.reach;
  return (
    <li class={selected ? "chosen" : ""}>
      <button class="firing-name" aria-pressed={selected} onClick={() => onSelect(id)} title={id}>
        <Known circuit={circuit} id={id} count={2} />
        <span class="meters">
          {readings.map((reading, i) => (
            <span class="meter" key={i} title={`score ${reading.score.toFixed(2)}, fires from ${reading.threshold.toFixed(2)}`}>
              <span class={reading.fires ? "on" : "off"} style={{ width: `${Math.min(reading.score / SCALE, 1) * 100}%` }} />
              <span class="tick" style={{ left: `${Math.min(reading.threshold / SCALE, 1) * 100}%` }} />
            </span>
          ))}
        </span>
        <span class={`number ${reach < 0 ? "against" : "for"}`} title="weight along all paths to the target">
          {two ? readings.map(({ fires }, i) => (fires ? LETTERS[i] : "·")).join(" ") : signed(reach)}
        </span>
      </button>
      <MaskSwitch live={live} id={id} name={circuit.groups.get(id)?.label ?? id} />
    </li>
  );
}

/** A group's first crops and what it is called. */
export function Known({ circuit, id, count = 3 }: { circuit: Circuit; id: string; count?: number }) {
  const group = circuit.groups.get(id);
  if (!group) return <span>{id}</span>;
  return (
    <span class="group-title">
      <span class="strip" aria-hidden="true">
        {group.crops.slice(0, count).map((crop) => (
          <CropPicture key={crop} data={circuit.data} crop={crop} />
        ))}
      </span>
      <span class="group-name">{group.label ?? id}</span>
    </span>
  );
}

export function MaskSwitch({ live, id, name }: { live: Live; id: string; name: string }) {
  const off = live.masked.has(id);
  return (
    <button
      class={`mask-switch${off ? " off" : ""}`}
      role="switch"
      aria-checked={!off}
      aria-label={`${name} is ${off ? "masked" : "active"}`}
      title={off ? "masked: bring it back" : "mask it: set its neurons to zero"}
      disabled={!live.status?.maskable}
      onClick={() => live.toggle(id)}
    >
      <span />
    </button>
  );
}
