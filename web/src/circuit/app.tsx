/** The page of a circuit: header, notes, graph, details, legend. */

import type { ComponentChildren } from "preact";
import { useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";
import { useKeys } from "../shared/keys";
import { Pane } from "../shared/pane";
import { usePictures } from "../shared/pictures";
import type { EdgeData, PageData } from "../shared/types";
import { Brief } from "./brief";
import type { Mark } from "./card";
import { step, strongest } from "./circuit";
import { Collect } from "./collect";
import { type Explorer, useExplorer } from "./explorer";
import { FigureView } from "./figure_view";
import { find, type Result, raisedBy } from "./find";
import { Graph } from "./graph";
import { Guide, wasLeft } from "./guide";
import { Header } from "./header";
import { Legend } from "./legend";
import { Panel } from "./panel";
import { along } from "./path";
import { Tables } from "./tables";
import { Views } from "./views";

/** In a frame of another page only the drawing is shown. */
const EMBEDDED = new URLSearchParams(location.search).get("embed") === "1";

export function App({ data }: { data: PageData }) {
  return <CircuitPage explorer={useExplorer(data)} />;
}

interface CircuitPageProps {
  explorer: Explorer;
  /** how cards are marked by what stands beside the circuit; null: not at all */
  marks?: Map<string, Mark> | null;
  /** what stands at the left of the circuit */
  children?: ComponentChildren;
  /** what a server finds for the query besides */
  found?: Result[];
  /** the view of one picture, where there is a model */
  why?: ComponentChildren;
  /** the scores of the selected group, where more is known than those on the class */
  scores?: ComponentChildren;
}

const NONE: Result[] = [];

export function CircuitPage({ explorer, found = NONE, marks = null, children, why, scores }: CircuitPageProps) {
  const { circuit, state, change, group, select } = explorer;
  const { data } = circuit;
  usePictures();
  const { shown, carried } = useMemo(() => strongest(data.edges, state.share), [data, state.share]);
  const results = useMemo(() => find(circuit, state.query, found), [circuit, state.query, found]);
  const view = state.view === "why" && why === undefined ? null : state.view;
  const [guided, guide] = useState(() => !EMBEDDED && !wasLeft() && !location.hash);
  useSelectionKeys(explorer);

  const go = ({ group, neuron, rival }: Result) => {
    if (rival !== undefined) change({ rival: String(rival), view: "why" });
    if (group) change({ group, neuron: neuron ?? null, path: null, ...(view === "figure" ? { view: null } : {}) });
  };
  const frame = { live: why !== undefined, explorer, shown, found: raisedBy(results), marks, scores };
  return (
    <div
      class={`page${group && !view ? " with-panel" : ""}${children && !view ? " with-dock" : ""}${EMBEDDED ? " embed" : ""}`}
    >
      {!EMBEDDED && (
        <>
          <button class="skip" onClick={skip}>
            Skip to the circuit
          </button>
          <Header
            data={data}
            drawn={!view}
            share={state.share}
            carried={carried}
            edgesShown={shown.length}
            onShare={(share) => change({ share })}
            query={state.query}
            results={results}
            onQuery={(query) => change({ query })}
            onResult={go}
          />
          {guided && <Guide target={data.target} live={why !== undefined} onLeave={() => guide(false)} />}
          <Views view={view} live={why !== undefined} pins={state.pins.length} onView={(view) => change({ view })}>
            {!view && <Brief circuit={circuit} selected={group?.id ?? null} onSelect={select} />}
          </Views>
        </>
      )}
      <main id="main" tabIndex={-1}>
        {view === "why" && why}
        {view === "tables" && <Tables explorer={explorer} />}
        {view === "figure" && <FigureView explorer={explorer} />}
        {!view && children}
        {!view && <Drawing {...frame} />}
      </main>
      {!EMBEDDED && <Legend data={data} drawn={!view} onGuide={() => guide(true)} />}
    </div>
  );
}

interface DrawingProps extends Pick<CircuitPageProps, "explorer" | "scores"> {
  live: boolean;
  shown: EdgeData[];
  found: Set<string> | null;
  marks: Map<string, Mark> | null;
}

/** The circuit, and the details of what is selected. */
function Drawing({ live, explorer, shown, found, marks, scores }: DrawingProps) {
  const { circuit, state, change, group, path, select, cut } = explorer;
  return (
    <>
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
            scores={scores}
            tools={
              <Collect
                key={group.id}
                explorer={explorer}
                group={group}
                naming={!live || !circuit.stored.has(group.id)}
              />
            }
          />
        </Pane>
      )}
    </>
  );
}

/** To the card that Tab leads to, past the tools; to the view, if there are no cards. */
const skip = () =>
  (document.querySelector<HTMLElement>('.card[tabindex="0"]') ?? document.getElementById("main"))?.focus();

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
  if (element.matches?.("input, [role=separator], [role=option]")) return true;
  return ["ArrowUp", "ArrowDown"].includes(key) && element.closest?.(".panel") != null;
}
