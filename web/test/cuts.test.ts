import { describe, expect, it } from "vitest";
import { circuitOf } from "../src/circuit/circuit";
import { branchesOf, recut, validCuts } from "../src/circuit/cuts";
import { following } from "../src/circuit/explorer";
import { readState } from "../src/circuit/state";
import type { GroupData, MeaningData, NeuronData, PageData, TreeData } from "../src/shared/types";

const meaning = (
  group: string,
  weights: Record<string, number>,
  shares: Record<string, number[]> = {},
): MeaningData => ({
  group,
  size: 1,
  mean: 1,
  least: 1,
  crops: [0],
  activations: [1],
  weights,
  shares,
});
const neuron = (index: number, ...meanings: MeaningData[]): NeuronData => ({
  index,
  strongest: 1,
  weakest: 1,
  meanings,
  steps: null,
  rule: null,
  score_error: null,
  cancellation: null,
  completeness_error: null,
  histogram: null,
});
const group = (id: string, members: [number, number][], label: string | null = null): GroupData => ({
  id,
  label,
  caption: null,
  evidence: null,
  members,
  crops: [0],
  sights: [],
  stability: null,
  figures: {},
  returns: null,
  measured: true,
  scores: [],
});
/** Pairs 0 and 1 join first, then 2 and 3, then all. The stored cut is into two. */
const tree = (members: [number, number][]): TreeData => ({
  members,
  merges: [
    [0, 1],
    [2, 3],
    [4, 5],
  ],
  numbers: [3, 4, 5, 6, 0, 1, 2],
  returns: [null, null, null, null, 0.7, 0.1, null],
  agreement: [1, 0.5],
  crops: [[], [], [1, 0]],
});

/** Neuron 2 of the layer below has two meanings; its weight is divided 3 : 1. */
const data: PageData = {
  kind: "circuit",
  target: "t",
  model: "m",
  images: ["x", "y"],
  side: [8, 8],
  skipped: [],
  notes: [],
  crop_count: 2,
  tau: 1,
  k: 1,
  steps: 1,
  shares: true,
  aggregation: "mean",
  sharing: "conserving",
  pictures: [],
  spreads: [],
  crops: [
    { image: 0, box: [0, 0, 4, 4], picture: null },
    { image: 1, box: [0, 0, 4, 4], picture: null },
  ],
  group_columns: [],
  layers: [
    {
      name: "low",
      note: "a note",
      tree: tree([
        [1, 0],
        [2, 0],
        [2, 1],
        [3, 0],
      ]),
      groups: [
        group(
          "low/0",
          [
            [1, 0],
            [2, 0],
          ],
          "wing",
        ),
        group("low/1", [
          [2, 1],
          [3, 0],
        ]),
      ],
      neurons: {
        1: neuron(1, meaning("low/0", {})),
        2: neuron(2, meaning("low/0", {}), meaning("low/1", {})),
        3: neuron(3, meaning("low/1", {})),
      },
    },
    {
      name: "top",
      note: null,
      tree: null,
      groups: [
        group("top/0", [
          [9, 0],
          [8, 0],
        ]),
      ],
      neurons: {
        9: neuron(9, meaning("top/0", { 1: 0.6, 2: -0.4 }, { 2: [0.75, 0.25] })),
        8: neuron(8, meaning("top/0", { 3: 1 })),
      },
    },
  ],
  edges: [
    {
      upper: "top/0",
      lower: "low/0",
      weight: 0.15,
      positive: 0.45,
      negative: -0.3,
      low: 0.1,
      high: 0.2,
      significance: 0.01,
      stability: null,
    },
    {
      upper: "top/0",
      lower: "low/1",
      weight: 0.45,
      positive: 0.45,
      negative: 0,
      low: null,
      high: null,
      significance: null,
      stability: null,
    },
  ],
};
const ids = (shown: PageData) => shown.layers[0]!.groups.map(({ id }) => id);
const weights = (shown: PageData) =>
  Object.fromEntries(shown.edges.map(({ lower, weight }) => [lower, Math.round(weight * 1e6) / 1e6]));

describe("another cut", () => {
  it("takes back the last merges", () => {
    expect([1, 2, 3, 4].map((count) => branchesOf(tree([]).merges, count))).toEqual([
      [6],
      [4, 5],
      [2, 3, 4],
      [0, 1, 2, 3],
    ]);
  });
  it("keeps what is known of groups that exist in both cuts, and computes the others", () => {
    const shown = recut(data, { low: 3 });
    expect(ids(shown)).toEqual(["low/0", "low/5", "low/6"]);
    expect(shown.layers[0]!.groups[0]).toBe(data.layers[0]!.groups[0]);
    expect(shown.layers[0]!.groups[1]).toMatchObject({ members: [[2, 1]], label: null, measured: false });
    expect(shown.edges[0]).toBe(data.edges[0]);
    expect(weights(shown)).toEqual({ "low/0": 0.15, "low/5": -0.05, "low/6": 0.5 });
    expect(shown.layers[0]!.neurons[2]!.meanings.map(({ group }) => group)).toEqual(["low/0", "low/5"]);
  });
  it("of one group has all the weight, the crops of the tree, and no note", () => {
    const shown = recut(data, { low: 1 });
    expect(ids(shown)).toEqual(["low/2"]);
    expect(weights(shown)).toEqual({ "low/2": 0.6 });
    expect(shown.layers[0]).toMatchObject({ note: null, groups: [{ crops: [1, 0] }] });
  });
  it("gives every group the whole weight where the circuit shares as published", () => {
    const shown = recut({ ...data, sharing: "published", aggregation: "sum" }, { low: 4 });
    expect(weights(shown)).toEqual({ "low/3": 0.6, "low/4": -0.4, "low/5": -0.4, "low/6": 1 });
  });
  it("has the intervals that came with the page", () => {
    const spread = { upper: "top", above: [0], below: [0, 5], low: [0.1, -0.2], high: [0.2, 0.1] };
    const shown = recut({ ...data, spreads: [spread] }, { low: 3 });
    expect(shown.edges.map(({ lower, low, high }) => [lower, low, high])).toEqual([
      ["low/0", 0.1, 0.2],
      ["low/5", -0.2, 0.1],
      ["low/6", null, null],
    ]);
  });
  it("is the stored data where nothing is cut", () => expect(recut(data, {})).toBe(data));
  it("is refused where the layer cannot be cut so", () => {
    expect(validCuts(data, { low: 3, top: 2, none: 4 })).toEqual({ low: 3 });
    for (const count of [0, 2, 5]) expect(validCuts(data, { low: count })).toEqual({});
  });
});

describe("selection and masks", () => {
  const stored = circuitOf(data);
  const cutInto = (count: number) => circuitOf(recut(data, { low: count }), data);
  const state = { ...readState(""), group: "low/1", masked: ["low/1"] };
  it("follow into a finer cut", () =>
    expect(following(stored, cutInto(4), state)).toEqual({ group: "low/5", masked: ["low/5", "low/6"] }));
  it("follow into a coarser one, where only a group that is wholly masked stays so", () => {
    expect(following(stored, cutInto(1), state)).toEqual({ group: "low/2", masked: [] });
    expect(following(stored, cutInto(1), { ...state, masked: ["low/0", "low/1"] }).masked).toEqual(["low/2"]);
  });
});
