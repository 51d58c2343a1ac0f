/** One layer: shared groups face to face, then what only one of the circuits has. */

import type { ShownLayer, SideName } from "./find";
import { GroupCard } from "./group";
import { Inputs } from "./inputs";
import { Match, Similarity } from "./match";
import type { ComparisonPageData, Unmatched } from "./types";

interface LayerProps {
  data: ComparisonPageData;
  shown: ShownLayer;
  onGo: (side: SideName, id: string) => void;
}

export function LayerSection({ data, shown, onGo }: LayerProps) {
  const { layer, pairs, a, b } = shown;
  return (
    <section class="layer" id={`layer:${layer.name}`} tabIndex={-1}>
      <h2>
        {layer.name}{" "}
        <small>
          {layer.pairs.length} shared, {layer.only_a.length} only in A, {layer.only_b.length} only in B
        </small>
      </h2>
      {pairs.length > 0 && (
        <ol class="pairs">
          {pairs.map((pair) => (
            <li key={pair.a}>
              <GroupCard data={data} side="a" id={pair.a} />
              <Match pair={pair} />
              <GroupCard data={data} side="b" id={pair.b} />
              <Inputs data={data} layer={layer} pair={pair} onGo={onGo} />
            </li>
          ))}
        </ol>
      )}
      {a.length + b.length > 0 && (
        <div class="alone">
          <Alone data={data} side="a" groups={a} />
          <Alone data={data} side="b" groups={b} />
        </div>
      )}
    </section>
  );
}

function Alone({ data, side, groups }: { data: ComparisonPageData; side: SideName; groups: Unmatched[] }) {
  const other = side === "a" ? "B" : "A";
  return (
    <div>
      {groups.length > 0 && <h3>Only in {side.toUpperCase()}</h3>}
      <ol>
        {groups.map(({ id, nearest, similarity, chance }) => (
          <li key={id}>
            <GroupCard data={data} side={side} id={id} />
            <p class="quiet">
              nearest in {other}: {nearest}
            </p>
            <Similarity value={similarity} chance={chance} />
          </li>
        ))}
      </ol>
    </div>
  );
}
