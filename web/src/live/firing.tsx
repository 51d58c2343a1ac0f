/** The groups that fire, each with a switch that masks it. */

import type { Circuit } from "../circuit/circuit";
import { CropStrip } from "../circuit/crop";
import { plural, weightsAs } from "../shared/format";
import { Listing } from "../shared/listing";
import { Meter } from "../shared/meter";
import { Middle } from "../shared/middle";
import { differing, firing, LETTERS, type Row } from "./lit";
import type { Live } from "./state";

const LISTED = 12;

interface FiringProps {
  live: Live;
  circuit: Circuit;
  selected: string | null;
  onSelect: (id: string) => void;
}

export function FiringList({ live, circuit, selected, onSelect }: FiringProps) {
  const { pictures } = live;
  if (!pictures.length)
    return (
      <p class="quiet">
        Add a picture to see which groups fire on it. Select a group to see where it fires; mask a group to see what the
        network answers without it.
      </p>
    );
  const two = pictures.length > 1;
  const all = firing(pictures).filter(({ id }) => circuit.groups.has(id));
  const rows = two ? differing(all) : all;
  const apart = rows.filter((row) => !row.readings.every(({ fires }) => fires)).length;
  const unread = [...circuit.groups.values()].filter(({ id }) => !circuit.stored.has(id)).length;
  return (
    <section>
      <h2>
        What fires{" "}
        <small>
          {two
            ? `${plural(apart, "group")} on one picture only, ${rows.length - apart} on both`
            : `${plural(rows.length, "group")}, by weight into ${circuit.data.target}`}
        </small>
      </h2>
      <Listing class="firing" count={LISTED} all={rows}>
        {(row) => (
          <FiringRow
            key={row.id}
            row={row}
            live={live}
            circuit={circuit}
            selected={row.id === selected}
            onSelect={onSelect}
            two={two}
          />
        )}
      </Listing>
      {unread > 0 && (
        <p class="quiet">
          {plural(unread, "group")} shown here {unread === 1 ? "is not a stored group" : "are not stored groups"}. Their
          thresholds were not measured, but they can be masked.
        </p>
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
  const weight = readings[0]!.reach;
  return (
    <li class={selected ? "chosen" : ""}>
      <button class="firing-name" aria-pressed={selected} onClick={() => onSelect(id)} title={id}>
        <Known circuit={circuit} id={id} count={2} />
        <span class="meters">
          {readings.map((reading, i) => (
            <Meter key={i} reading={reading} />
          ))}
        </span>
        <span
          class={`number ${weight < 0 ? "against" : "for"}`}
          title={two ? "pictures on which it fires" : "weight along all paths to the target"}
        >
          {two
            ? readings.map(({ fires }, i) => (fires ? LETTERS[i] : "·")).join(" ")
            : weightsAs(circuit.data.shares)(weight)}
        </span>
      </button>
      <MaskSwitch live={live} id={id} name={circuit.groups.get(id)?.label ?? id} />
    </li>
  );
}

/** A group's first crops and its name. */
export function Known({ circuit, id, count = 3 }: { circuit: Circuit; id: string; count?: number }) {
  const group = circuit.groups.get(id);
  if (!group) return <span>{id}</span>;
  return (
    <span class="group-title">
      <CropStrip data={circuit.data} crops={group.crops} count={count} />
      <span class="group-name">
        <Middle text={group.label ?? id} />
      </span>
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
      title={off ? "Masked. Click to unmask." : "Mask: set its neurons to zero"}
      disabled={!live.status?.maskable}
      onClick={() => live.toggle(id)}
    >
      <span />
    </button>
  );
}
