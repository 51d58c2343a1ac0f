import { describe, expect, it } from "vitest";
import { count, inputsOf, matches, select, titleOf } from "../src/comparison/find";
import type { ComparedGroup, ComparisonPageData, GroupPair, LayerComparison } from "../src/shared/types";

const group = (neurons: number[], label: string | null = null, inputs: [string, number][] = []): ComparedGroup => ({
  label,
  caption: null,
  doubt: null,
  neurons,
  pictures: [],
  inputs: inputs.map(([lower, weight]) => ({ lower, weight })),
});
const pair = (a: string, b: string): GroupPair => ({
  a,
  b,
  matched_by: "neurons",
  similarity: 0.5,
  chance: null,
  by_neurons: 0.5,
  by_crops: null,
  neurons: null,
});
const layer = (name: string, part: Partial<LayerComparison>): LayerComparison => ({
  name,
  groups: [2, 2],
  shared: 0.5,
  pairs: [],
  only_a: [],
  only_b: [],
  similarity: null,
  edges: [],
  correlation: null,
  carried: [null, null],
  ...part,
});
const alone = (id: string) => ({ id, nearest: "x/0", similarity: 0, chance: null });
const top = pair("head/0", "head/0");
const side = (name: string) => ({
  model: { reference: "m", digest: "0", input_size: [3, 8, 8] as [number, number, number] },
  target: { layer: "head", neuron: 0, name },
  images: 1,
  only: [],
});
const data: ComparisonPageData = {
  kind: "comparison",
  shares: true,
  a: {
    name: "bee",
    model: "m",
    crops: 1,
    groups: {
      "head/0": group([0], null, [
        ["low/0", 0.6],
        ["low/1", -0.3],
      ]),
      "low/0": group([1, 12], "yellow stripes"),
      "low/1": group([3]),
    },
  },
  b: {
    name: "fly",
    model: "m",
    crops: 1,
    groups: { "head/0": group([1], null, [["low/1", 0.9]]), "low/0": group([8]), "low/1": group([12]) },
  },
  comparison: {
    a: side("bee"),
    b: side("fly"),
    by: "neurons",
    reason: "",
    threshold: 0.25,
    draws: 1,
    seed: 0,
    images: 0,
    notes: [],
    layers: [
      layer("low", { pairs: [pair("low/0", "low/1")], only_a: [alone("low/1")], only_b: [alone("low/0")] }),
      layer("head", {
        pairs: [top],
        edges: [{ upper: ["head/0", "head/0"], lower: ["low/0", "low/1"], weight_a: 0.6, weight_b: 0.9, change: 0.3 }],
      }),
    ],
  },
  pictures: [],
};

describe("what is shown", () => {
  const ids = (kind: "all" | "shared" | "a" | "b", query = "") =>
    select(data, kind, query).flatMap(({ pairs, a, b }) => [
      ...pairs.map((p) => p.a),
      ...a.map((g) => `A ${g.id}`),
      ...b.map((g) => `B ${g.id}`),
    ]);

  it("goes from the target down", () =>
    expect(select(data, "all", "").map(({ layer }) => layer.name)).toEqual(["head", "low"]));
  it("is filtered", () => {
    expect(ids("shared")).toEqual(["head/0", "low/0"]);
    expect(ids("a")).toEqual(["A low/1"]);
    expect(ids("b")).toEqual(["B low/0"]);
  });
  it("is found by label, id, and neurons of either side", () => {
    expect(ids("all", "YELLOW")).toEqual(["low/0"]);
    expect(ids("all", "12")).toEqual(["low/0"]);
    expect(ids("all", "8")).toEqual(["B low/0"]);
    expect(ids("all", "head")).toEqual(["head/0"]);
    expect(ids("all", "nothing such")).toEqual([]);
    expect(matches("low/1", undefined, " ")).toBe(true);
  });
  it("is counted", () => expect(count(data)).toEqual({ all: 4, shared: 2, a: 1, b: 1 }));
});

describe("inputs of a pair", () => {
  it("are shared groups with both weights and groups of one side, strongest first", () =>
    expect(inputsOf(data, data.comparison.layers[1]!, top)).toEqual([
      { a: "low/0", b: "low/1", weightA: 0.6, weightB: 0.9 },
      { a: "low/1", b: null, weightA: -0.3, weightB: null },
    ]));
});

describe("a group is called", () => {
  it("by its label", () => expect(titleOf(data, "a", "low/0")).toBe("yellow stripes"));
  it("by the target that it is all of", () => expect(titleOf(data, "b", "head/0")).toBe("fly"));
  it("by its part of the target", () => {
    const a = { ...data.a, groups: { ...data.a.groups, "head/1": data.a.groups["head/0"]! } };
    expect(titleOf({ ...data, a }, "a", "head/1")).toBe("bee, 2 of 2");
  });
  it("by its number", () => expect(titleOf(data, "a", "low/1")).toBe("Group 1"));
});
