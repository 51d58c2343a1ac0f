/** The page of a sweep: a map of its classes by the similarity of their circuits, a search, and details. */

import { useMemo, useState } from "preact/hooks";
import { readName } from "../shared/address";
import { useEvents } from "../shared/events";
import { percent, plural } from "../shared/format";
import { useKeys } from "../shared/keys";
import { Pane } from "../shared/pane";
import { SearchField } from "../shared/search";
import { picturesAt, Strip } from "../shared/strip";
import { ThemeButton } from "../shared/theme";
import type { AtlasPageData } from "../shared/types";
import { find, nameOf } from "./find";
import { ClassMap } from "./map";
import { Face, Panel } from "./panel";

const SHORTCUTS = "shortcuts";

/** The part of the page that the address names: a class, or the list of shortcut candidates. */
function useAddress(data: AtlasPageData) {
  const read = () => readName(location.hash);
  const [hash, setHash] = useState(read);
  useEvents(["hashchange"], () => setHash(read()));
  const go = (next: string) => {
    if (next === read()) return;
    history.pushState(null, "", next ? `#${encodeURIComponent(next)}` : location.pathname + location.search);
    setHash(next);
  };
  const place = data.classes.findIndex(({ circuit }) => circuit === hash);
  return { chosen: place < 0 ? null : place, shortcuts: hash === SHORTCUTS, go };
}

export function AtlasApp({ data }: { data: AtlasPageData }) {
  const { chosen, shortcuts, go } = useAddress(data);
  const [query, setQuery] = useState("");
  const listed = useMemo(() => find(data, query), [data, query]);
  const found = useMemo(() => (query.trim() ? new Set(listed) : null), [listed, query]);
  const choose = (place: number | null) => go(place === null ? "" : data.classes[place]!.circuit);
  useKeys((event) => {
    if (event.key === "Escape" && !event.defaultPrevented) choose(null);
  });
  return (
    <div class={`page atlas${chosen === null ? "" : " with-panel"}`}>
      <header>
        <div class="about">
          <h1>
            <em>{plural(data.classes.length, "circuit")}</em> of {data.model}
          </h1>
          <p class="quiet">
            Circuits that use the same core neurons are near each other.{" "}
            {data.kept !== null &&
              `${percent(data.kept)} of a circuit's ${data.neighbours} most similar circuits are among its ${data.neighbours} nearest on the map. Distances between distant circuits mean little.`}
          </p>
        </div>
        <div class="controls">
          <div class="choices" role="group" aria-label="View">
            <button aria-pressed={!shortcuts} onClick={() => go("")}>
              Map
            </button>
            <button aria-pressed={shortcuts} onClick={() => go(SHORTCUTS)} disabled={!data.shortcuts.length}>
              Shortcut candidates <small>{data.shortcuts.length}</small>
            </button>
          </div>
          <SearchField
            query={query}
            found={found ? plural(found.size, "circuit") : ""}
            placeholder="class, label of a group"
            onQuery={setQuery}
            onEnter={() => listed.length && choose(listed[0]!)}
          />
          <ThemeButton />
        </div>
      </header>
      <main>
        {shortcuts ? (
          <Shortcuts data={data} onChoose={choose} />
        ) : (
          <div class="map-and-list">
            <nav aria-label="Circuits">
              <ul>
                {listed.map((place) => (
                  <li key={place}>
                    <button aria-current={place === chosen} onClick={() => choose(place)}>
                      <Face data={data} place={place} />
                      <span class="edge-name">{data.classes[place]!.target}</span>
                    </button>
                  </li>
                ))}
              </ul>
              {listed.length === 0 && <p class="quiet">No circuit matches.</p>}
            </nav>
            <ClassMap data={data} chosen={chosen} found={found} onChoose={choose} />
          </div>
        )}
        {chosen !== null && (
          <Pane name="Details" side="right" width={400}>
            <Panel data={data} place={chosen} onChoose={choose} />
          </Pane>
        )}
      </main>
    </div>
  );
}

function Shortcuts({ data, onChoose }: { data: AtlasPageData; onChoose: (place: number) => void }) {
  return (
    <section class="shortcuts">
      <p class="quiet">
        Groups whose crops all lie in the same place of their pictures, as for a watermark, a border or a stamp. The
        crops of objects seldom do. The spread is relative to the layer, where 1 is typical; the smallest comes first.
        This is only a hint: <code>neurflow audit</code> tests the model.
      </p>
      <table>
        <thead>
          <tr>
            <th>crops</th>
            <th>group</th>
            <th>class</th>
            <th>spread</th>
            <th title="sum of the absolute weights by which it acts on groups above">weight upwards</th>
          </tr>
        </thead>
        <tbody>
          {data.shortcuts.map(({ circuit, group, spread, weight }) => {
            const one = data.classes[circuit]!;
            return (
              <tr key={`${circuit} ${group}`}>
                <td>
                  <Strip pictures={picturesAt(data.pictures, one.shown[group]?.pictures)} />
                </td>
                <th scope="row">{nameOf(one, group)}</th>
                <td>
                  <button class="link" onClick={() => onChoose(circuit)}>
                    {one.target}
                  </button>
                </td>
                <td class="number">{spread.toFixed(2)}</td>
                <td class="number">{weight.toFixed(2)}</td>
              </tr>
            );
          })}
        </tbody>
      </table>
    </section>
  );
}
