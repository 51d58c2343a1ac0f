/** One layer: shared groups face to face, then the groups of one circuit alone. */

import type { ComparisonPageData, Unmatched } from "../shared/types";
import type { ShownLayer, SideName } from "./find";
import { GroupCard, GroupLink } from "./group";
import { Inputs } from "./inputs";
import { Match, Similarity } from "./match";

/** pairs and groups shown at first: thousands would make the page slow */
const AT_FIRST = 12;

interface LayerProps {
  data: ComparisonPageData;
  shown: ShownLayer;
  /** whether all of its groups are shown */
  whole: boolean;
  onWhole: () => void;
  onGo: (side: SideName, id: string) => void;
}

export function LayerSection({ data, shown, whole, onWhole, onGo }: LayerProps) {
  const { layer } = shown;
  const [pairs, a, b] = whole
    ? [shown.pairs, shown.a, shown.b]
    : [shown.pairs.slice(0, AT_FIRST), shown.a.slice(0, AT_FIRST), shown.b.slice(0, AT_FIRST)];
  const more = shown.pairs.length + shown.a.length + shown.b.length - pairs.length - a.length - b.length;
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
          <Alone data={data} side="a" groups={a} onGo={onGo} />
          <Alone data={data} side="b" groups={b} onGo={onGo} />
        </div>
      )}
      {more > 0 && (
        <button class="more" onClick={onWhole}>
          Show {more} more of {layer.name}
        </button>
      )}
    </section>
  );
}

interface AloneProps {
  data: ComparisonPageData;
  side: SideName;
  groups: Unmatched[];
  onGo: (side: SideName, id: string) => void;
}

function Alone({ data, side, groups, onGo }: AloneProps) {
  const other = side === "a" ? "b" : "a";
  return (
    <div>
      {groups.length > 0 && <h3>Only in {side.toUpperCase()}</h3>}
      <ol>
        {groups.map(({ id, nearest, similarity, chance }) => (
          <li key={id}>
            <GroupCard data={data} side={side} id={id} />
            {similarity > 0 ? (
              <>
                <p class="nearest quiet">
                  nearest <GroupLink data={data} side={other} id={nearest} onGo={onGo} />
                </p>
                <Similarity value={similarity} chance={chance} />
              </>
            ) : (
              <p class="quiet">Nothing in common with any group of {other.toUpperCase()}.</p>
            )}
          </li>
        ))}
      </ol>
    </div>
  );
}
