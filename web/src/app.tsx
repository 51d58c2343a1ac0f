/** The page: header, notes, circuit, details, legend. */

import { useEffect, useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";
import { best, circuitOf, search, step, strongest, type Circuit } from "./circuit";
import { Brief } from "./brief";
import { Graph } from "./graph";
import { Header } from "./header";
import type { LiveCalls } from "./client";
import { Legend, Notes } from "./legend";
import { Dock } from "./live/dock";
import { useLive, useMaskKey } from "./live/state";
import { Panel } from "./panel";
import { along, stations, strongestPath, type Path } from "./path";
import { readState, writeState, type PageState } from "./state";
import type { PageData } from "./types";

interface AppProps {
  data: PageData;
  live?: LiveCalls | null;
  /** what is stored has changed: load it again */
  onChanged?: () => void;
}

export function App({ data, live: calls = null, onChanged = () => {} }: AppProps) {
  const circuit = useMemo(() => circuitOf(data), [data]);
  const [state, change] = usePageState();
  const { share, query, neuron } = state;
  const { shown, carried } = useMemo(() => strongest(data.edges, share), [data, share]);
  const found = useMemo(() => search(circuit, query), [circuit, query]);
  const group = state.group ? circuit.groups.get(state.group) : undefined;
  const path = useMemo(
    () => (group && state.path ? strongestPath(circuit, group.id, state.path) : null),
    [circuit, group, state.path],
  );
  // a path is walked: who chooses a group on it stays on the way
  const select = (id: string | null, neuron: number | null = null) => {
    const stays = id !== null && group && path && stations(path, group.id).includes(id);
    change({ group: id, neuron, path: stays ? state.path : null });
  };
  const live = useLive(calls, circuit);
  useKeys(circuit, group?.id ?? null, path, select);
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
        onShare={(share) => change({ share })}
        query={query}
        found={found?.size ?? null}
        onQuery={(query) => change({ query })}
        onEnter={enterSearch}
      />
      <Notes data={data} />
      <Brief circuit={circuit} selected={group?.id ?? null} onSelect={select} />
      <main>
        {live && <Dock live={live} circuit={circuit} selected={group?.id ?? null} onSelect={select} onChanged={onChanged} />}
        <Graph
          circuit={circuit}
          shown={shown}
          selected={group?.id ?? null}
          found={found}
          lit={live?.lit ?? null}
          path={path}
          at={state.at}
          onRest={(at) => (at || state.at) && change({ at })}
          onSelect={select}
        />
        {group && (
          <Panel
            circuit={circuit}
            group={group}
            neuron={neuron}
            path={path}
            onPath={(path) => change({ path })}
            onSelect={select}
          />
        )}
      </main>
      <Legend data={data} />
    </div>
  );
}

function usePageState(): [PageState, (part: Partial<PageState>) => void] {
  const [state, setState] = useState(() => readState(location.hash));
  const latest = useRef(state);
  latest.current = state;
  useEffect(() => {
    const follow = () => setState(readState(location.hash));
    addEventListener("hashchange", follow);
    return () => removeEventListener("hashchange", follow);
  }, []);
  const change = (part: Partial<PageState>) => {
    latest.current = { ...latest.current, ...part };
    setState(latest.current);
    keep(latest.current);
  };
  return [state, change];
}

/** In the address, at most some times a second: browsers refuse more. */
const keep = ((): ((state: PageState) => void) => {
  const PAUSE = 150;
  let waiting: ReturnType<typeof setTimeout> | undefined;
  let last = -PAUSE;
  const write = (state: PageState) => {
    last = performance.now();
    try {
      history.replaceState(null, "", writeState(state));
    } catch {
      // inside a notebook's frame there is no address to keep it in
    }
  };
  return (state) => {
    clearTimeout(waiting);
    const since = performance.now() - last;
    if (since >= PAUSE) write(state);
    else waiting = setTimeout(() => write(state), PAUSE - since);
  };
})();

const focusCard = (id: string) =>
  document.querySelector<HTMLElement>(`[data-group="${CSS.escape(id)}"]`)?.focus({ preventScroll: true });

/** Left and right follow the path that is shown, or the strongest edge; up and down the column; Escape lets go. */
function useKeys(circuit: Circuit, selected: string | null, path: Path | null, select: (id: string | null) => void) {
  // one listener for good that reads what is drawn now: the next key may come before the effects of the last one
  const latest = useRef({ circuit, selected, path, select });
  latest.current = { circuit, selected, path, select };
  const walked = useRef<string | null>(null);
  useEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      if ((event.target as HTMLElement).matches?.("input, select, textarea") || event.ctrlKey || event.metaKey || event.altKey || event.shiftKey) return;
      const { circuit, selected, path, select } = latest.current;
      if (event.key === "Escape" && selected) {
        select(null);
        focusCard(selected);
      }
      const id = document.activeElement?.getAttribute("data-group") ?? selected;
      const next = id ? ((path && along(path, id, event.key)) ?? step(circuit, id, event.key)) : undefined;
      if (!next || panelScrolls(event)) return;
      event.preventDefault();
      walked.current = next;
      select(next);
    };
    addEventListener("keydown", onKey);
    return () => removeEventListener("keydown", onKey);
  }, []);
  // in a large circuit a card is drawn only once it is chosen; focus is there before the next key is heard
  useLayoutEffect(() => {
    if (walked.current) focusCard(walked.current);
    walked.current = null;
  });
}

/** Inside the details, up and down scroll as everywhere. */
const panelScrolls = (event: KeyboardEvent) =>
  ["ArrowUp", "ArrowDown"].includes(event.key) && (event.target as HTMLElement).closest?.(".panel") != null;
