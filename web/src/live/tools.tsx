/** What can be done with the selected group: mask it, name it, merge or split it. */

import { useState } from "preact/hooks";
import type { Circuit } from "../circuit/circuit";
import { headingOf } from "../circuit/names";
import { type Editing, Regroup } from "./edits";
import { MaskSwitch } from "./firing";
import type { Live } from "./state";

interface ToolsProps {
  live: Live;
  circuit: Circuit;
  id: string;
  editing: Editing;
  onChanged: () => void;
}

export function GroupTools({ live, circuit, id, editing, onChanged }: ToolsProps) {
  const group = circuit.groups.get(id);
  if (!group) return null;
  const isTarget = group.layer === circuit.data.layers.length - 1;
  const stored = circuit.stored.has(id);
  return (
    <section class="tools" aria-label="Selected group">
      <div class="tools-head">
        <b>{headingOf(group, circuit.data)}</b> <small>{id}</small>
        {!isTarget && <MaskSwitch live={live} id={id} name={group.label ?? id} />}
      </div>
      {stored && <Naming live={live} id={id} label={group.label} onChanged={onChanged} />}
      {stored && !isTarget && <Regroup circuit={circuit} group={group} editing={editing} />}
      {!stored && (
        <p class="quiet">
          This group is not one of the stored groups. It can be masked, but not merged or split, and its name is kept
          only in the address.
        </p>
      )}
      {stored && !isTarget && !group.measured && live.pictures.length > 0 && (
        <p class="quiet">
          This group was made by hand. It can be masked, but its threshold was not measured, so the page does not show
          whether it fires.
        </p>
      )}
    </section>
  );
}

interface NamingProps {
  live: Live;
  id: string;
  label: string | null;
  onChanged: () => void;
}

function Naming({ live, id, label, onChanged }: NamingProps) {
  const [words, setWords] = useState(label ?? "");
  const [saved, setSaved] = useState(false);
  const save = (text: string | null) =>
    live.calls.label(id, text).then(
      (named) => {
        setWords(named.label ?? "");
        setSaved(true);
        onChanged();
      },
      (problem: Error) => live.fail(problem.message),
    );
  return (
    <>
      <form
        class="naming"
        onSubmit={(event) => {
          event.preventDefault();
          if (words.trim()) void save(words.trim());
        }}
      >
        <input
          aria-label="Label of the selected group"
          value={words}
          maxLength={80}
          placeholder="Name this group…"
          onInput={(event) => {
            setWords(event.currentTarget.value);
            setSaved(false);
          }}
        />
        <button type="submit" disabled={!words.trim() || words.trim() === (label ?? "")}>
          Save
        </button>
        {label && (
          <button type="button" onClick={() => void save(null)}>
            Clear
          </button>
        )}
      </form>
      {saved && (
        <p class="quiet" role="status">
          Saved beside the circuit.
        </p>
      )}
    </>
  );
}
