/** Two circuits compared: the groups they share, the groups of one alone, and how edges change. */

import { useEffect, useState } from "preact/hooks";
import { plural } from "../shared/format";
import { PageLinks } from "../shared/page_links";
import { SearchField } from "../shared/search";
import { ThemeButton } from "../shared/theme";
import type { ComparisonPageData } from "../shared/types";
import { count, type Kind, type SideName, select } from "./find";
import { anchor, Letter } from "./group";
import { LayerSection } from "./layer";
import { Overview } from "./overview";

const KINDS: [Kind, string][] = [
  ["all", "All"],
  ["shared", "Shared"],
  ["a", "Only A"],
  ["b", "Only B"],
];

export function ComparisonApp({ data }: { data: ComparisonPageData }) {
  const [kind, choose] = useState<Kind>("all");
  const [query, find] = useState("");
  const [whole, showWhole] = useState<ReadonlySet<string>>(new Set());
  const [goal, setGoal] = useState<string | null>(null);
  const shown = select(data, kind, query);
  const found = shown.reduce((sum, { pairs, a, b }) => sum + pairs.length + a.length + b.length, 0);
  const counts = count(data);
  const open = (layer: string) => showWhole(new Set([...whole, layer]));
  const go = (id: string) => {
    choose("all"); // the destination may be filtered out
    find("");
    setGoal(id);
  };
  const goToGroup = (side: SideName, id: string) => {
    open(id.slice(0, id.lastIndexOf("/")));
    go(anchor(side, id));
  };
  useEffect(() => {
    const place = goal === null ? null : document.getElementById(goal);
    place?.scrollIntoView({ block: goal?.startsWith("layer:") ? "start" : "center" });
    place?.focus({ preventScroll: true });
    setGoal(null);
  }, [goal]);
  return (
    <div class="comparison">
      <Head data={data} />
      <main class="plain">
        {(data.comparison.notes ?? []).map((note) => (
          <p class="note" key={note}>
            {note}
          </p>
        ))}
        <Overview data={data} onGo={(layer) => go(`layer:${layer}`)} />
        <div class="filters">
          <div class="choices" role="group" aria-label="Groups shown">
            {KINDS.map(([name, text]) => (
              <button key={name} aria-pressed={kind === name} onClick={() => choose(name)}>
                {text} <small>{counts[name]}</small>
              </button>
            ))}
          </div>
          <SearchField
            query={query}
            found={query ? `${found} found` : ""}
            placeholder="group, label, neuron"
            onQuery={find}
          />
        </div>
        {shown.map((one) => (
          <LayerSection
            key={one.layer.name}
            data={data}
            shown={one}
            whole={whole.has(one.layer.name)}
            onWhole={() => open(one.layer.name)}
            onGo={goToGroup}
          />
        ))}
        {found === 0 && <p class="nothing quiet">{query ? "No group matches." : "There are no such groups."}</p>}
      </main>
    </div>
  );
}

function Head({ data }: { data: ComparisonPageData }) {
  const { by, reason, threshold, draws, images } = data.comparison;
  return (
    <header>
      <div class="about">
        <h1>
          <em>{data.a.name}</em> vs <em>{data.b.name}</em>
        </h1>
        <PageLinks />
        <p class="quiet">
          Groups are matched by{" "}
          {by === "neurons"
            ? "their neurons"
            : `their crops on ${plural(images, "picture")} that both circuits studied`}
          : {reason}. Shared groups have a similarity of at least {threshold}. Shaded: the similarity expected by
          chance, that of the best match in {plural(draws, "random grouping")} of the same sizes (5th to 95th
          percentile).
        </p>
        <p class="quiet sides">
          {(["a", "b"] as const).map((side) => (
            <span key={side}>
              <Letter side={side} /> {data.comparison[side].target.name} in {data[side].model}, weights{" "}
              {data.comparison[side].model.digest.slice(0, 8)}, {plural(data.comparison[side].images, "picture")}
            </span>
          ))}
        </p>
      </div>
      <ThemeButton />
    </header>
  );
}
