/**
 * Other cuts of a layer's tree: more groups or fewer, computed from what the page already holds.
 *
 * 1. The tree is cut into as many groups as are asked for. A branch has one id whatever the cut.
 * 2. A group that exists in the stored cut too keeps all that is known of it. Members and crops of the
 *    other groups come from the tree.
 * 3. W(G, H) follows from what drives each pair, as `neurflow.circuit.interactions` computes it. Its interval
 *    comes with the page's data for the branches of coarse cuts; that of finer ones is unknown.
 */

import type { EdgeData, GroupData, LayerData, MeaningData, PageData, TreeData } from "../shared/types";

/** Number of groups of each layer that is not shown in its stored cut. */
export type Cuts = Record<string, number>;

/** Agreement between halves of the pictures below which a group is said not to come back. */
export const SHAKY = 0.2;

/** The most groups that a layer can be cut into; 1 where the circuit stores no tree. */
export const mostGroups = (layer: LayerData): number => layer.tree?.members.length ?? 1;

/** Drops layers that the circuit does not have, and numbers that are out of range or are the stored cut. */
export function validCuts(data: PageData, cuts: Cuts): Cuts {
  const valid = data.layers.filter(({ name, groups, tree }) => {
    const count = cuts[name];
    return tree && count !== undefined && count >= 1 && count <= tree.members.length && count !== groups.length;
  });
  return Object.fromEntries(valid.map(({ name }) => [name, Math.round(cuts[name]!)]));
}

/** The page's data with some layers cut otherwise. */
export function recut(data: PageData, cuts: Cuts): PageData {
  if (!Object.keys(cuts).length) return data;
  const pictures = wholePictures(data);
  const layers = data.layers.map((layer) =>
    cuts[layer.name] === undefined || !layer.tree
      ? layer
      : recutLayer(layer, layer.tree, cuts[layer.name]!, pictures, data),
  );
  const kept = new Set(data.layers.flatMap(({ groups }) => groups.map(({ id }) => id)));
  const stands = new Set(layers.flatMap(({ groups }) => groups.filter(({ id }) => kept.has(id)).map(({ id }) => id)));
  const edges = data.edges.filter(({ lower, upper }) => stands.has(lower) && stands.has(upper));
  layers.forEach((upper, i) => {
    const lower = layers[i - 1];
    if (!lower || (upper === data.layers[i] && lower === data.layers[i - 1])) return;
    edges.push(
      ...interactions(upper, lower, data).filter((edge) => !stands.has(edge.lower) || !stands.has(edge.upper)),
    );
  });
  return { ...data, layers, edges };
}

/** The branches that are groups where a tree of `pairs` pairs is cut into `count`. */
export function branchesOf(merges: [number, number][], count: number): number[] {
  const kept = merges.slice(0, merges.length + 1 - count);
  const joined = new Set(kept.flat());
  return [...Array(merges.length + 1 + kept.length).keys()].filter((branch) => !joined.has(branch));
}

function recutLayer(
  layer: LayerData,
  tree: TreeData,
  count: number,
  pictures: Map<number, number>,
  data: PageData,
): LayerData {
  const stored = new Map(layer.groups.map((group) => [group.id, group]));
  const groups = branchesOf(tree.merges, count)
    .sort((a, b) => tree.numbers[a]! - tree.numbers[b]!)
    .map((branch) => {
      const id = `${layer.name}/${tree.numbers[branch]}`;
      return stored.get(id) ?? freshGroup(id, branch, layer, tree, pictures, data);
    })
    .sort((a, b) => b.members.length - a.members.length);
  const groupOf = new Map(groups.flatMap(({ id, members }) => members.map((member) => [String(member), id] as const)));
  const neurons = Object.fromEntries(
    Object.entries(layer.neurons).map(([index, neuron]) => [
      index,
      {
        ...neuron,
        meanings: neuron.meanings.map((meaning, i) => ({
          ...meaning,
          group: groupOf.get(`${index},${i}`) ?? meaning.group,
        })),
      },
    ]),
  );
  return { ...layer, groups, neurons, note: null };
}

function freshGroup(
  id: string,
  branch: number,
  layer: LayerData,
  tree: TreeData,
  pictures: Map<number, number>,
  data: PageData,
): GroupData {
  const members = pairsOf(branch, tree).map((pair) => tree.members[pair]!);
  const pairs = tree.members.length;
  const [neuron, meaning] = members[0]!;
  const crops = branch < pairs ? layer.neurons[neuron]!.meanings[meaning]!.crops : (tree.crops[branch - pairs] ?? []);
  return {
    id,
    members,
    crops,
    label: null,
    caption: null,
    evidence: null,
    stability: null,
    figures: {},
    measured: false,
    scores: [],
    returns: tree.returns[branch] ?? null,
    sights: sightsOf(crops, pictures, data),
  };
}

/** The pairs that a branch joins, in the order of the tree. */
function pairsOf(branch: number, { members, merges }: TreeData): number[] {
  if (branch < members.length) return [branch];
  const [a, b] = merges[branch - members.length]!;
  return [...pairsOf(a, { members, merges } as TreeData), ...pairsOf(b, { members, merges } as TreeData)].sort(
    (x, y) => x - y,
  );
}

/** Position of the whole picture of each image that the page holds one of. */
function wholePictures(data: PageData): Map<number, number> {
  return new Map(
    data.layers.flatMap(({ groups }) =>
      groups.flatMap(({ sights }) => sights.map((sight) => [sight.image, sight.picture] as const)),
    ),
  );
}

const SIGHTS = 8;

function sightsOf(crops: number[], pictures: Map<number, number>, data: PageData): GroupData["sights"] {
  const boxes = new Map<number, [number, number, number, number][]>();
  for (const crop of crops) {
    const { image, box } = data.crops[crop]!;
    if (pictures.has(image)) boxes.set(image, [...(boxes.get(image) ?? []), box]);
  }
  return [...boxes]
    .slice(0, SIGHTS)
    .map(([image, found]) => ({ image, picture: pictures.get(image)!, boxes: found, heat: null }));
}

/** W(G, H) between all groups of a layer and of the layer below, where there is any weight. */
function interactions(upper: LayerData, lower: LayerData, data: PageData): EdgeData[] {
  const { aggregation, sharing } = data;
  const interval = intervalsOf(data, upper);
  const groupOf = new Map(
    lower.groups.flatMap(({ id, members }) => members.map((member) => [String(member), id] as const)),
  );
  return upper.groups.flatMap(({ id, members }) => {
    const scale = aggregation === "mean" ? 1 / members.length : 1;
    const total = new Map<string, { positive: number; negative: number }>();
    for (const [a, i] of members) {
      const meaning = upper.neurons[a]!.meanings[i]!;
      for (const [s, weight] of Object.entries(meaning.weights))
        for (const [below, share] of sharesOf(s, meaning, lower, groupOf, sharing))
          add(total, below, scale * weight * share);
    }
    return [...total].map(([below, { positive, negative }]) => ({
      upper: id,
      lower: below,
      weight: positive + negative,
      positive,
      negative,
      ...interval(id, below),
      significance: null,
      stability: null,
    }));
  });
}

/** Finds the interval of the weight of two groups of neighbouring layers. */
function intervalsOf({ spreads }: PageData, upper: LayerData) {
  const spread = spreads.find((each) => each.upper === upper.name);
  const above = new Map(spread?.above.map((number, place) => [number, place]));
  const below = new Map(spread?.below.map((number, place) => [number, place]));
  return (id: string, lower: string): { low: number | null; high: number | null } => {
    const [row, column] = [above.get(numberOf(id)), below.get(numberOf(lower))];
    if (!spread || row === undefined || column === undefined) return { low: null, high: null };
    const place = row * spread.below.length + column;
    return { low: spread.low[place]!, high: spread.high[place]! };
  };
}

const numberOf = (id: string): number => Number(id.slice(id.lastIndexOf("/") + 1));

function add(total: Map<string, { positive: number; negative: number }>, id: string, weight: number): void {
  const { positive, negative } = total.get(id) ?? { positive: 0, negative: 0 };
  total.set(id, { positive: positive + Math.max(weight, 0), negative: negative + Math.min(weight, 0) });
}

/** The groups that hold the meanings of a core neuron, each with its share of the neuron's weight. */
function sharesOf(
  s: string,
  meaning: MeaningData,
  lower: LayerData,
  groupOf: Map<string, string>,
  sharing: PageData["sharing"],
): Map<string, number> {
  const found = new Map<string, number>();
  const count = lower.neurons[s]?.meanings.length ?? 1;
  const shares = sharing === "published" ? Array<number>(count).fill(1) : (meaning.shares[s] ?? [1]);
  shares.forEach((share, j) => {
    const id = groupOf.get(`${s},${j}`);
    if (!id || !share) return;
    found.set(id, sharing === "published" ? 1 : (found.get(id) ?? 0) + share);
  });
  return found;
}
