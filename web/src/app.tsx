/** The page: header, notes, circuit, details, legend. */

import { useEffect, useMemo, useState } from "preact/hooks";
import { best, circuitOf, search, step, strongest, type Circuit } from "./circuit";
import { Graph } from "./graph";
import { Header } from "./header";
import { Legend, Notes } from "./legend";
import { Panel } from "./panel";
import { readSelection, writeSelection, type Selection } from "./state";
import type { PageData } from "./types";

const SHARE_AT_FIRST = 0.8;

export function App({ data }: { data: PageData }) {
  const circuit = useMemo(() => circuitOf(data), [data]);
  const [share, setShare] = useState(SHARE_AT_FIRST);
  const [query, setQuery] = useState("");
  const [selection, choose] = useSelection(circuit);
  const { shown, carried } = useMemo(() => strongest(data.edges, share), [data, share]);
  const found = useMemo(() => search(circuit, query), [circuit, query]);
  const group = selection.group ? circuit.groups.get(selection.group) : undefined;
  const select = (id: string | null, neuron: number | null = null) => choose({ group: id, neuron });
  useKeys(circuit, group?.id ?? null, select);

  const enterSearch = () => {
    const match = found && best(circuit, found);
    if (match) select(match);
  };
  return (
    <div class={`page${group ? " with-panel" : ""}`}>
      <Header
        data={data}
        share={share}
        carried={carried}
        edgesShown={shown.length}
        onShare={setShare}
        query={query}
        found={found?.size ?? null}
        onQuery={setQuery}
        onEnter={enterSearch}
      />
      <Notes data={data} />
      <main>
        <Graph circuit={circuit} shown={shown} selected={group?.id ?? null} found={found} onSelect={select} />
        {group && <Panel circuit={circuit} group={group} neuron={selection.neuron} onSelect={select} />}
      </main>
      <Legend data={data} />
    </div>
  );
}

function useSelection(circuit: Circuit): [Selection, (selection: Selection) => void] {
  const [selection, setSelection] = useState(() => readSelection(location.hash));
  useEffect(() => {
    const follow = () => setSelection(readSelection(location.hash));
    addEventListener("hashchange", follow);
    return () => removeEventListener("hashchange", follow);
  }, [circuit]);
  const choose = (next: Selection) => {
    history.replaceState(null, "", writeSelection(next));
    setSelection(next);
  };
  return [selection, choose];
}

const focusCard = (id: string) =>
  document.querySelector<HTMLElement>(`[data-group="${CSS.escape(id)}"]`)?.focus({ preventScroll: true });

/** Left and right follow the strongest edge, up and down the column; Escape lets go. */
function useKeys(circuit: Circuit, selected: string | null, select: (id: string | null) => void) {
  useEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      if (event.target instanceof HTMLInputElement || event.ctrlKey || event.metaKey || event.altKey) return;
      if (event.key === "Escape" && selected) {
        select(null);
        focusCard(selected);
      }
      const id = document.activeElement?.getAttribute("data-group") ?? selected;
      const next = id ? step(circuit, id, event.key) : undefined;
      if (!next || panelScrolls(event)) return;
      event.preventDefault();
      focusCard(next);
      select(next);
    };
    addEventListener("keydown", onKey);
    return () => removeEventListener("keydown", onKey);
  }, [circuit, selected]);
}

/** Inside the details, up and down scroll as everywhere. */
const panelScrolls = (event: KeyboardEvent) =>
  ["ArrowUp", "ArrowDown"].includes(event.key) && (event.target as HTMLElement).closest?.(".panel") != null;
