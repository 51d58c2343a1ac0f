/** What can be done with the chosen group: mask it, name it, merge or split it. */

import { useState } from "preact/hooks";
import type { Circuit } from "../circuit";
import { headingOf } from "../format";
import { Regroup, type Editing } from "./edits";
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
  const [words, setWords] = useState(group?.label ?? "");
  const [saved, setSaved] = useState(false);
  if (!group) return null;
  const isTarget = group.layer === circuit.data.layers.length - 1;
  const read = live.pictures.some(({ shown }) => shown.report.groups.some((reading) => reading.id === id));
  const save = (label: string | null) =>
    live.calls.label(id, label).then(
      (named) => {
        setWords(named.label ?? "");
        setSaved(true);
        onChanged();
      },
      (problem: Error) => live.fail(problem.message),
    );
  return (
    <section class="tools" aria-label="The chosen group">
      <div class="tools-head">
        <b>{headingOf(group, circuit.data)}</b> <small>{id}</small>
        {!isTarget && <MaskSwitch live={live} id={id} name={group.label ?? id} />}
      </div>
      <form
        class="naming"
        onSubmit={(event) => {
          event.preventDefault();
          if (words.trim()) void save(words.trim());
        }}
      >
        <input
          aria-label="Label of the chosen group"
          value={words}
          maxLength={80}
          placeholder="name it by what its crops share"
          onInput={(event) => {
            setWords(event.currentTarget.value);
            setSaved(false);
          }}
        />
        <button type="submit" disabled={!words.trim() || words.trim() === (group.label ?? "")}>Save</button>
        {group.label && <button type="button" onClick={() => void save(null)}>Clear</button>}
      </form>
      {!isTarget && <Regroup circuit={circuit} group={group} editing={editing} />}
      {!isTarget && live.pictures.length > 0 && !read && (
        <p class="quiet">Made by hand: when it fires was not measured, so pictures do not light it up. It can be masked.</p>
      )}
      {saved && <p class="quiet" role="status">Kept beside the circuit.</p>}
    </section>
  );
}
