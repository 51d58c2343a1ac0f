/** The page: header, notes, circuit, details, legend. */

import { useEffect, useMemo, useState } from "preact/hooks";
import { best, circuitOf, search, step, strongest, type Circuit } from "./circuit";
import { Graph } from "./graph";
import { Header } from "./header";
import type { LiveCalls } from "./client";
import { Legend, Notes } from "./legend";
import { Dock } from "./live/dock";
import { useLive, useMaskKey } from "./live/state";
import { Panel } from "./panel";
import { readSelection, writeSelection, type Selection } from "./state";
import type { PageData } from "./types";

const SHARE_AT_FIRST = 0.8;

interface AppProps {
  data: PageData;
  live?: LiveCalls | null;
  /** what is stored has changed: load it again */
  onChanged?: () => void;
}

export function App({ data, live: calls = null, onChanged = () => {} }: AppProps) {
  const circuit = useMemo(() => circuitOf(data), [data]);
  const [share, setShare] = useState(SHARE_AT_FIRST);
  const [query, setQuery] = useState("");
  const [selection, choose] = useSelection(circuit);
  const { shown, carried } = useMemo(() => strongest(data.edges, share), [data, share]);
  const found = useMemo(() => search(circuit, query), [circuit, query]);
  const group = selection.group ? circuit.groups.get(selection.group) : undefined;
  const select = (id: string | null, neuron: number | null = null) => choose({ group: id, neuron });
  const live = useLive(calls);
  useKeys(circuit, group?.id ?? null, select);
  useMaskKey(live, group?.id ?? null);

  const enterSearch = () => {
    const match = found && best(circuit, found);
    if (match) select(match);
  };
  return (
    <div class={`page${group ? " with-panel" : ""}${live ? " with-dock" : ""}`}>
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
        {live && <Dock live={live} circuit={circuit} selected={group?.id ?? null} onSelect={select} onChanged={onChanged} />}
        <Graph
          circuit={circuit}
          shown={shown}
          selected={group?.id ?? null}
          found={found}
          lit={live?.lit ?? null}
          onSelect={select}
        />
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
    try {
      history.replaceState(null, "", writeSelection(next));
    } catch {
      // inside a notebook's frame there is no address to keep it in
    }
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
      if ((event.target as HTMLElement).matches?.("input, select, textarea") || event.ctrlKey || event.metaKey || event.altKey) return;
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
