/** The page of a circuit: header, notes, graph, details, legend. */

import type { ComponentChildren } from "preact";
import { useLayoutEffect, useMemo, useRef } from "preact/hooks";
import { useKeys } from "../shared/keys";
import { Pane } from "../shared/pane";
import type { PageData } from "../shared/types";
import { Brief } from "./brief";
import type { Mark } from "./card";
import { best, search, step, strongest } from "./circuit";
import { type Explorer, useExplorer } from "./explorer";
import { Graph } from "./graph";
import { Header } from "./header";
import { Legend, Notes } from "./legend";
import { Panel } from "./panel";
import { along } from "./path";

export function App({ data }: { data: PageData }) {
  return <CircuitPage explorer={useExplorer(data)} />;
}

interface CircuitPageProps {
  explorer: Explorer;
  /** how cards are marked by what stands beside the circuit; null: not at all */
  marks?: Map<string, Mark> | null;
  /** what stands at the left of the circuit */
  children?: ComponentChildren;
}

export function CircuitPage({ explorer, marks = null, children }: CircuitPageProps) {
  const { circuit, state, change, group, path, select, cut } = explorer;
  const { data } = circuit;
  const { shown, carried } = useMemo(() => strongest(data.edges, state.share), [data, state.share]);
  const found = useMemo(() => search(circuit, state.query), [circuit, state.query]);
  useSelectionKeys(explorer);

  const enterSearch = () => {
    const match = found && best(circuit, found);
    if (match) select(match);
  };
  return (
    <div class={`page${group ? " with-panel" : ""}${children ? " with-dock" : ""}`}>
      <Header
        data={data}
        share={state.share}
        carried={carried}
        edgesShown={shown.length}
        onShare={(share) => change({ share })}
        query={state.query}
        found={found?.size ?? null}
        onQuery={(query) => change({ query })}
        onEnter={enterSearch}
      />
      <Notes data={data} />
      <Brief circuit={circuit} selected={group?.id ?? null} onSelect={select} />
      <main>
        {children}
        <Graph
          circuit={circuit}
          shown={shown}
          selected={group?.id ?? null}
          found={found}
          marks={marks}
          path={path}
          at={state.at}
          onRest={(at) => (at || state.at) && change({ at })}
          onSelect={select}
          onCut={cut}
        />
        {group && (
          <Pane name="Details" side="right" width={400}>
            <Panel
              circuit={circuit}
              group={group}
              neuron={state.neuron}
              path={path}
              onPath={(path) => change({ path })}
              onSelect={select}
            />
          </Pane>
        )}
      </main>
      <Legend data={data} />
    </div>
  );
}

const focusCard = (id: string) =>
  document.querySelector<HTMLElement>(`[data-group="${CSS.escape(id)}"]`)?.focus({ preventScroll: true });

/** Left and right follow the path that is shown, or the strongest edge; up and down walk the column; Escape deselects. */
function useSelectionKeys({ circuit, group, path, select }: Explorer) {
  const selected = group?.id ?? null;
  const walked = useRef<string | null>(null);
  useKeys((event) => {
    if (event.shiftKey) return;
    if (event.key === "Escape" && selected) {
      select(null);
      focusCard(selected);
    }
    const id = document.activeElement?.getAttribute("data-group") ?? selected;
    const next = id ? ((path && along(path, id, event.key)) ?? step(circuit, id, event.key)) : undefined;
    if (!next || scrollsPanel(event)) return;
    event.preventDefault();
    walked.current = next;
    select(next);
  });
  // in a large circuit a card is drawn only once it is selected; it has the focus before the next key
  useLayoutEffect(() => {
    if (walked.current) focusCard(walked.current);
    walked.current = null;
  });
}

/** Inside the details, and on a slider, arrow keys keep their usual meaning. */
function scrollsPanel({ key, target }: KeyboardEvent): boolean {
  const element = target as HTMLElement;
  if (element.matches?.("input, [role=separator]")) return true;
  return ["ArrowUp", "ArrowDown"].includes(key) && element.closest?.(".panel") != null;
}
