/** All layers in a table: shared groups, their similarity, and their share of the weight. */

import { percent, signed } from "../shared/format";
import type { ComparisonPageData, LayerComparison } from "../shared/types";

export function Overview({ data, onGo }: { data: ComparisonPageData; onGo: (layer: string) => void }) {
  return (
    <section class="overview">
      <table>
        <thead>
          <tr>
            <th>layer</th>
            <th>
              groups: <span class="swatch only-a" /> only A <span class="swatch both" /> shared{" "}
              <span class="swatch only-b" /> only B
            </th>
            <th title="mean over shared groups; in brackets that of random groups of the same sizes">
              similarity (chance)
            </th>
            <th title="share of the weight into the layer that runs between shared groups">
              weight between shared, A / B
            </th>
            <th title="Spearman's rank correlation of the weights of these edges in A and in B">rank correlation</th>
          </tr>
        </thead>
        <tbody>
          {data.comparison.layers.toReversed().map((layer) => (
            <tr key={layer.name}>
              <th scope="row">
                <button class="link" onClick={() => onGo(layer.name)}>
                  {layer.name}
                </button>
              </th>
              <td>
                <Split layer={layer} />
              </td>
              <td class="number">{alike(layer)}</td>
              <td class="number">
                {layer.carried.every((share) => share === null) ? "–" : layer.carried.map(share).join(" / ")}
              </td>
              <td class="number">{layer.correlation === null ? "–" : signed(layer.correlation)}</td>
            </tr>
          ))}
        </tbody>
      </table>
      {(["a", "b"] as const).map((side) =>
        data.comparison[side].only.length ? (
          <p class="quiet" key={side}>
            Layers that only {side.toUpperCase()} has: {data.comparison[side].only.join(", ")}
          </p>
        ) : null,
      )}
    </section>
  );
}

const share = (value: number | null): string => (value === null ? "–" : percent(value));

function alike({ pairs, similarity }: LayerComparison): string {
  if (pairs.some(({ matched_by }) => matched_by === "target")) return "the targets";
  if (similarity === null) return "–";
  const chances = pairs.flatMap(({ chance }) => (chance ? [chance[0]] : []));
  const chance = chances.reduce((sum, value) => sum + value, 0) / chances.length;
  return chances.length ? `${similarity.toFixed(2)} (${chance.toFixed(2)})` : similarity.toFixed(2);
}

/** Groups of both circuits as a bar; a pair counts once. */
function Split({ layer }: { layer: LayerComparison }) {
  const parts = [
    ["only-a", layer.only_a.length, "only in A"],
    ["both", layer.pairs.length, "shared"],
    ["only-b", layer.only_b.length, "only in B"],
  ] as const;
  return (
    <span class="split" role="img" aria-label={parts.map(([, number, what]) => `${number} ${what}`).join(", ")}>
      {parts
        .filter(([, number]) => number)
        .map(([kind, number]) => (
          <span key={kind} class="split-part" style={{ flexGrow: number }}>
            <span class="number">{number}</span>
            <span class={`swatch ${kind}`} />
          </span>
        ))}
    </span>
  );
}
