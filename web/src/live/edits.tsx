/** Edits by hand: groups are merged and split, and edits undone, redone and saved. */

import { useEffect, useState } from "preact/hooks";
import { type Circuit, type Group, neuronOf } from "../circuit/circuit";
import { CropStrip } from "../circuit/crop";
import { download } from "../shared/download";
import { plural } from "../shared/format";
import { Listing } from "../shared/listing";
import type { Edits, Member, Merge, Messages, Split } from "../shared/types";
import type { Live } from "./state";

export type EditRequest = Messages["edit"];

export interface Editing {
  edits: Edits | null;
  busy: boolean;
  edit(request: EditRequest): void;
}

const MEMBERS_LISTED = 8;
const CROPS_SHOWN = 4;

/** Loads the edits and makes new ones; `onEdited` is called with the group to select next. */
export function useEdits(live: Live, onEdited: (look: string) => void): Editing {
  const { calls, fail } = live;
  const [edits, setEdits] = useState<Edits | null>(null);
  const [busy, setBusy] = useState(false);
  useEffect(() => {
    calls.edits().then(setEdits, (problem: Error) => fail(problem.message));
  }, [calls]);
  const edit = (request: EditRequest) => {
    setBusy(true);
    fail(null);
    const undone = request.kind === "undo" ? edits?.done?.at(-1) : undefined;
    calls
      .edit(request)
      .then(
        (now) => {
          setEdits(now);
          onEdited(undone ? takenBy(undone)[0]! : madeBy(now.done!.at(-1)!)[0]!);
        },
        (problem: Error) => fail(problem.message),
      )
      .finally(() => setBusy(false));
  };
  return { edits, busy, edit };
}

const takenBy = (edit: Merge | Split): string[] => ("groups" in edit ? edit.groups : [edit.group]);
const madeBy = (edit: Merge | Split): string[] => ("groups" in edit ? [edit.into] : edit.into);

const inWords = (edit: Merge | Split): string =>
  "groups" in edit ? `merged ${edit.groups.join(" and ")}` : `split ${edit.group}`;

/** The edits so far, with undo and redo. */
export function EditHistory({ editing: { edits, busy, edit } }: { editing: Editing }) {
  const done = edits?.done ?? [];
  const undone = edits?.undone ?? [];
  if (!edits || (!done.length && !undone.length)) return null;
  const last = done.at(-1);
  const next = undone.at(-1);
  const save = () => download(new Blob([JSON.stringify(edits, null, 1)], { type: "application/json" }), "edits.json");
  return (
    <div class="history" role="group" aria-label="Edits by hand">
      <span role="status">
        {last ? `${plural(done.length, "edit")} by hand; last: ${inWords(last)}.` : "No edits."}
      </span>
      <span class="history-buttons">
        <button disabled={busy || !last} onClick={() => edit({ kind: "undo" })}>
          Undo
        </button>
        <button disabled={busy || !next} title={next && inWords(next)} onClick={() => edit({ kind: "redo" })}>
          Redo
        </button>
        <button onClick={save} title="Save as a file for neurflow edit RUN --import">
          Save
        </button>
      </span>
    </div>
  );
}

interface RegroupProps {
  circuit: Circuit;
  group: Group;
  editing: Editing;
}

export function Regroup(props: RegroupProps) {
  const others = props.circuit.columns[props.group.layer]!.length - 1;
  if (!others && props.group.members.length < 2) return null;
  return (
    <details class="regroup">
      <summary>Merge or split</summary>
      {others > 0 && <MergeWith {...props} />}
      {props.group.members.length > 1 && <SplitOff {...props} />}
    </details>
  );
}

/** Groups that share most neurons come first: they are most likely to mean the same. */
function MergeWith({ circuit, group, editing }: RegroupProps) {
  const [chosen, choose] = useState("");
  const neurons = new Set(group.members.map(([a]) => a));
  const others = circuit.columns[group.layer]!.filter((id) => id !== group.id)
    .map((id) => circuit.groups.get(id)!)
    .map((other) => ({ other, shared: new Set(other.members.map(([a]) => a).filter((a) => neurons.has(a))).size }))
    .sort((a, b) => b.shared - a.shared);
  const other = circuit.groups.get(chosen);
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        if (other) editing.edit({ kind: "merge", groups: [group.id, other.id] });
      }}
    >
      <label>
        Merge with{" "}
        <select aria-label="Group to merge with" value={chosen} onChange={(event) => choose(event.currentTarget.value)}>
          <option value="">a group of its layer …</option>
          {others.map(({ other, shared }) => (
            <option key={other.id} value={other.id}>
              {other.label ? `${other.label} (${other.id})` : other.id}, {plural(shared, "neuron")} shared
            </option>
          ))}
        </select>
      </label>
      {other && <CropStrip data={circuit.data} crops={other.crops} count={CROPS_SHOWN} />}
      <button type="submit" disabled={!other || editing.busy}>
        Merge
      </button>
    </form>
  );
}

function SplitOff({ circuit, group, editing }: RegroupProps) {
  const [ticked, tick] = useState<ReadonlySet<string>>(new Set());
  const named = group.members.filter((member) => ticked.has(String(member)));
  const turn = (key: string) =>
    tick((all) => new Set(all.has(key) ? [...all].filter((other) => other !== key) : [...all, key]));
  const some = named.length > 0 && named.length < group.members.length;
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        if (some) editing.edit({ kind: "split", group: group.id, members: named as [Member, ...Member[]] });
      }}
    >
      <p>Tick the members that form a new group:</p>
      <Listing class="ticks" count={MEMBERS_LISTED} all={group.members}>
        {([a, i]) => {
          const meanings = neuronOf(circuit, group.layer, a)!.meanings;
          const key = String([a, i]);
          return (
            <li key={key}>
              <label>
                <input type="checkbox" checked={ticked.has(key)} onChange={() => turn(key)} />
                <span>
                  neuron {a}
                  {meanings.length > 1 && (
                    <small>
                      {" "}
                      {i + 1} of {meanings.length}
                    </small>
                  )}
                </span>
                <CropStrip data={circuit.data} crops={meanings[i]!.crops} count={CROPS_SHOWN} />
              </label>
            </li>
          );
        }}
      </Listing>
      <button type="submit" disabled={!some || editing.busy}>
        {some ? `Split ${named.length} from ${group.members.length - named.length}` : "Split"}
      </button>
    </form>
  );
}
