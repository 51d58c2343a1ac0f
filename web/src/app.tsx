/** The page: header, controls, circuit, details. */

import { useEffect, useMemo, useState } from "preact/hooks";
import { circuitOf, search, strongest, type Circuit } from "./circuit";
import { percent, plural } from "./format";
import { Graph } from "./graph";
import { Panel } from "./panel";
import { readSelection, writeSelection, type Selection } from "./state";
import type { PageData } from "./types";

export function App({ data }: { data: PageData }) {
  const circuit = useMemo(() => circuitOf(data), [data]);
  const [share, setShare] = useState(0.8);
  const [query, setQuery] = useState("");
  const [hovered, setHovered] = useState<string | null>(null);
  const [selection, choose] = useSelection(circuit);
  const { shown, carried } = useMemo(() => strongest(data.edges, share), [data, share]);
  const found = useMemo(() => search(circuit, query), [circuit, query]);
  const group = selection.group ? circuit.groups.get(selection.group) : undefined;
  const select = (id: string | null, neuron: number | null = null) => choose({ group: id, neuron });
  useArrows(circuit, selection.group, select);

  return (
    <div class={`page${group ? " with-panel" : ""}`}>
      <header>
        <div>
          <h1>
            Why <em>{data.target}</em>?
          </h1>
          <p class="quiet">
            {data.model} · {plural(data.images.length, "picture")}, {plural(data.crop_count, "crop")} · τ {data.tau},
            k {data.k}, N {data.steps}
          </p>
        </div>
        <div class="controls">
          <label>
            <span>
              Edges that carry <b data-testid="carried">{percent(carried)}</b> of the weight
              <small data-testid="edge-count"> {shown.length} of {data.edges.length}</small>
            </span>
            <input
              type="range"
              min="0"
              max="100"
              value={Math.round(share * 100)}
              aria-label="Share of the weight shown"
              onInput={(event) => setShare(Number(event.currentTarget.value) / 100)}
            />
          </label>
          <label>
            <span>
              Find <small>{found ? plural(found.size, "group") : "group, label or neuron number"}</small>
            </span>
            <input type="search" value={query} aria-label="Find" onInput={(event) => setQuery(event.currentTarget.value)} />
          </label>
          <ThemeButton />
        </div>
      </header>
      <main>
        <Graph
          circuit={circuit}
          shown={shown}
          selected={group?.id ?? null}
          hovered={hovered}
          found={found}
          onSelect={select}
          onHover={setHovered}
        />
        {group && <Panel circuit={circuit} group={group} neuron={selection.neuron} onSelect={select} />}
      </main>
      <Footer data={data} />
    </div>
  );
}

function Footer({ data }: { data: PageData }) {
  return (
    <footer>
      <span>
        <svg width="34" height="10"><line class="edge for" x1="0" y1="5" x2="34" y2="5" stroke-width="4" /></svg> excites
      </span>
      <span>
        <svg width="34" height="10"><line class="edge against" x1="0" y1="5" x2="34" y2="5" stroke-width="4" /></svg> inhibits
      </span>
      <span class="grow">
        A card is a group of neurons that share a meaning, with the crops that excite it; the number is its members, the bar
        how much it carries to the class. Edges are {data.averaged ? "shares of what drives the upper group" : "summed weights"}.
        Columns go from the input, left, to the class.
      </span>
      {(data.notes.length > 0 || data.skipped.length > 0) && (
        <details>
          <summary>{plural(data.notes.length + data.skipped.length, "note")}</summary>
          <ul>
            {data.notes.map((note) => (
              <li key={note}>{note}</li>
            ))}
            {data.skipped.map(([name, reason]) => (
              <li key={name}>
                Not read: {name} ({reason})
              </li>
            ))}
          </ul>
        </details>
      )}
    </footer>
  );
}

function ThemeButton() {
  const dark = () => matchMedia("(prefers-color-scheme: dark)").matches;
  const [theme, setTheme] = useState(document.documentElement.dataset.theme ?? (dark() ? "dark" : "light"));
  const other = theme === "dark" ? "light" : "dark";
  return (
    <button
      class="theme"
      aria-label={`Switch to ${other}`}
      onClick={() => {
        document.documentElement.dataset.theme = other;
        setTheme(other);
      }}
    >
      {theme === "dark" ? "☀" : "☾"}
    </button>
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

/** Left and right follow the strongest edge, up and down the column; Escape lets go. */
function useArrows(circuit: Circuit, selected: string | null, select: (id: string | null) => void) {
  useEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      if (event.target instanceof HTMLInputElement) return;
      const focused = document.activeElement?.getAttribute("data-group");
      const id = focused ?? selected;
      if (event.key === "Escape") return select(null);
      const next = id ? step(circuit, id, event.key) : undefined;
      if (!next) return;
      event.preventDefault();
      document.querySelector<HTMLElement>(`[data-group="${CSS.escape(next)}"]`)?.focus({ preventScroll: true });
      select(next);
    };
    addEventListener("keydown", onKey);
    return () => removeEventListener("keydown", onKey);
  }, [circuit, selected]);
}

export function step(circuit: Circuit, id: string, key: string): string | undefined {
  const group = circuit.groups.get(id);
  if (!group) return undefined;
  const column = circuit.columns[group.layer]!;
  const row = column.indexOf(id);
  if (key === "ArrowLeft") return group.inputs[0]?.lower;
  if (key === "ArrowRight") return group.outputs[0]?.upper;
  if (key === "ArrowUp") return column[row - 1];
  if (key === "ArrowDown") return column[row + 1];
  return undefined;
}
