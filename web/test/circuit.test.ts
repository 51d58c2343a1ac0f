import { describe, expect, it } from "vitest";
import { best, circuitOf, leaders, parts, scoreError, step, strongest, unsure } from "../src/circuit/circuit";
import { find, groupsIn, raisedBy } from "../src/circuit/find";
import { titleOf } from "../src/circuit/names";
import { crossings, order } from "../src/circuit/order";
import { stations, strongestPath } from "../src/circuit/path";
import { readState, SHARE_AT_FIRST, writeState } from "../src/circuit/state";
import { resultsOf } from "../src/live/found";
import { readName } from "../src/shared/address";
import { percent, signed, spread } from "../src/shared/format";
import type { EdgeData, GroupData, NeuronData, PageData } from "../src/shared/types";
import { edge } from "./made";

const neuron = (index: number, error: number | null): NeuronData => ({
  index,
  strongest: 2,
  weakest: 1,
  steps: null,
  rule: null,
  score_error: error,
  cancellation: null,
  completeness_error: null,
  histogram: null,
  meanings: [{ group: "", size: 1, mean: 1.5, least: 1, crops: [], activations: [], weights: {}, shares: {} }],
});
const group = (id: string, ...neurons: number[]): GroupData => ({
  id,
  label: null,
  caption: null,
  evidence: null,
  members: neurons.map((a) => [a, 0]),
  crops: [],
  sights: [],
  stability: null,
  figures: {},
  returns: null,
  measured: true,
  scores: [],
});

describe("what is known of an edge", () => {
  const known: EdgeData = { ...edge("a/0", "b/0", 0.1), positive: 0.3, negative: -0.2, low: -0.05, high: 0.25 };
  it("is unsure where its interval holds both signs", () => {
    expect(unsure(known)).toBe(true);
    expect(unsure({ ...known, low: 0.05 })).toBe(false);
    expect(unsure({ ...known, low: -0.3, high: -0.01 })).toBe(false);
    expect(unsure({ ...known, low: null, high: null })).toBe(false);
  });
  it("names what drives and what holds back, where both do", () => {
    expect(parts(known, false)).toBe("+0.30 and −0.20");
    expect(parts(known, true)).toBe("+30\u00a0% and −20\u00a0%");
    expect(parts({ ...known, negative: 0 }, true)).toBe(null);
    expect(parts({ ...known, positive: null, negative: null }, true)).toBe(null);
  });
});

const data: PageData = {
  kind: "circuit",
  aggregation: "mean",
  sharing: "conserving",
  target: "bee",
  model: "m",
  images: [],
  side: [8, 8],
  skipped: [],
  notes: [],
  crop_count: 0,
  tau: 1,
  k: 1,
  steps: 1,
  shares: true,
  spreads: [],
  crops: [],
  pictures: [],
  group_columns: [],
  layers: [
    { name: "a", note: null, tree: null, groups: [group("a/0", 1), group("a/1", 2), group("a/2", 3)], neurons: {} },
    {
      name: "b",
      note: null,
      tree: null,
      groups: [group("b/0", 10), group("b/1", 11)],
      neurons: { 10: neuron(10, 0.1), 11: neuron(11, 0.3) },
    },
    { name: "c", note: null, tree: null, groups: [group("c/0", 7, 8, 9), group("c/1", 6)], neurons: {} },
  ],
  edges: [
    edge("a/0", "b/1", 1),
    edge("a/1", "b/0", -0.5),
    edge("a/2", "b/0", 0.25),
    edge("a/2", "b/1", 0.1),
    edge("b/0", "c/0", 0.8),
    edge("b/1", "c/1", -0.4),
  ],
};

describe("a circuit", () => {
  const circuit = circuitOf(data);

  it("knows what reaches the target, signs multiplied along paths and paths summed", () => {
    const pathWeight = (id: string) => circuit.groups.get(id)!.pathWeight;
    expect(pathWeight("c/0")).toBeCloseTo(0.75);
    expect(pathWeight("b/0")).toBeCloseTo(0.75 * 0.8);
    expect(pathWeight("b/1")).toBeCloseTo(0.25 * -0.4);
    expect(pathWeight("a/1")).toBeCloseTo(-0.5 * 0.6);
    expect(pathWeight("a/2")).toBeCloseTo(0.25 * 0.6 + 0.1 * -0.1);
  });

  it("orders columns so that these edges do not cross", () => {
    const rows = new Map(circuit.columns.flatMap((column) => column.map((id, row) => [id, row] as const)));
    const crossings = data.edges.flatMap((e, i) =>
      data.edges.slice(i + 1).filter((f) => {
        if (e.lower[0] !== f.lower[0]) return false;
        return (rows.get(e.lower)! - rows.get(f.lower)!) * (rows.get(e.upper)! - rows.get(f.upper)!) < 0;
      }),
    );
    expect(crossings).toHaveLength(0);
  });

  it("is led by what carries most, for or against, from the target down", () => {
    expect(leaders(circuit).map(({ id }) => id)).toEqual(["b/0", "a/1"]);
  });

  it("lists edges strongest first", () => {
    expect(circuit.groups.get("b/0")!.inputs.map((e) => e.lower)).toEqual(["a/1", "a/2"]);
  });

  it("follows arrows along the strongest edge and the column", () => {
    const column = circuit.columns[0]!;
    expect(step(circuit, "b/0", "ArrowLeft")).toBe("a/1");
    expect(step(circuit, "b/0", "ArrowRight")).toBe("c/0");
    expect(step(circuit, column[0]!, "ArrowDown")).toBe(column[1]);
    expect(step(circuit, column[0]!, "ArrowUp")).toBeUndefined();
    expect(step(circuit, "a/0", "ArrowLeft")).toBeUndefined();
  });
});

describe("crossings", () => {
  const { groups } = circuitOf(data);
  it("weigh each pair of crossing edges by the product of its weights", () => {
    // of the edges a→b, 1.0 to b/1 from a/0 crosses -0.5 and 0.25 to b/0; b→c cross each other
    const columns = [
      ["a/0", "a/1", "a/2"],
      ["b/0", "b/1"],
      ["c/1", "c/0"],
    ];
    expect(crossings(columns, groups)).toBeCloseTo(1 * 0.5 + 1 * 0.25 + 0.8 * 0.4);
  });
  it("are as counted pair by pair, and fewer after ordering", () => {
    let seed = 7;
    const random = () => {
      seed = (seed * 48271) % 2147483647;
      return seed / 2147483647;
    };
    const names = ["a", "b", "c"];
    const layers = names.map((name) => ({
      name,
      note: null,
      tree: null,
      neurons: {},
      groups: Array.from({ length: 9 }, (_, i) => group(`${name}/${i}`, i)),
    }));
    const edges = ["ab", "bc"].flatMap(([lower, upper]) =>
      Array.from({ length: 81 }, (_, n) =>
        edge(`${lower}/${n % 9}`, `${upper}/${Math.floor(n / 9)}`, random() ** 4 - 0.1),
      ),
    );
    const { groups } = circuitOf({ ...data, layers, edges });
    const given = layers.map((layer) => layer.groups.map(({ id }) => id));
    const row = (id: string) => Number(id.split("/")[1]);
    let slow = 0;
    for (const e of edges)
      for (const f of edges)
        if (e.lower[0] === f.lower[0] && row(e.lower) < row(f.lower) && row(e.upper) > row(f.upper))
          slow += Math.abs(e.weight * f.weight);
    expect(crossings(given, groups)).toBeCloseTo(slow);
    const found = order(layers, groups);
    expect(crossings(found, groups)).toBeLessThan(0.8 * slow);
    expect(found.map((column) => [...column].sort())).toEqual(given);
  });
});

describe("the threshold", () => {
  it("takes the fewest edges that carry the share", () => {
    const { shown, carried } = strongest(data.edges, 0.55);
    expect(shown.map((e) => e.weight)).toEqual([1, 0.8]);
    expect(carried).toBeCloseTo(1.8 / 3.05);
    expect(strongest(data.edges, 0).shown).toHaveLength(0);
    expect(strongest(data.edges, 1).shown).toHaveLength(data.edges.length);
  });
});

describe("the strongest path", () => {
  const circuit = circuitOf(data);

  it("multiplies weights and goes all the way", () => {
    const path = strongestPath(circuit, "a/2", "target")!;
    expect(stations(path, "a/2")).toEqual(["a/2", "b/0", "c/0"]);
    expect(path.weight).toBeCloseTo(0.25 * 0.8);
    expect(stations(strongestPath(circuit, "c/0", "pixels")!, "c/0")).toEqual(["c/0", "b/0", "a/1"]);
  });

  it("prefers a weak first step that pays later", () => {
    const edges = [edge("a/0", "b/0", 0.3), edge("a/0", "b/1", 0.9), edge("b/0", "c/0", -0.8), edge("b/1", "c/1", 0.1)];
    const path = strongestPath(circuitOf({ ...data, edges }), "a/0", "target")!;
    expect([stations(path, "a/0").at(-1), path.weight]).toEqual(["c/0", expect.closeTo(-0.24)]);
  });

  it("is none where nothing leads there, and empty at the end", () => {
    const edges = data.edges.filter(({ upper }) => !upper.startsWith("c"));
    expect(strongestPath(circuitOf({ ...data, edges }), "a/0", "target")).toBeNull();
    expect(strongestPath(circuit, "c/1", "target")!.edges).toEqual([]);
  });
});

describe("what people type and share", () => {
  const circuit = circuitOf(data);
  const kinds = (query: string) => find(circuit, query)!.map(({ kind, title, about }) => `${kind} ${title} ${about}`);
  it("finds groups by id, best first, and says what each result is", () => {
    expect(kinds("b/")).toEqual(["group Group 0 b/0", "group Group 1 b/1"]);
    expect([...groupsIn(find(circuit, "b/")!)]).toEqual(["b/0", "b/1"]);
    expect(find(circuit, "  ")).toBeNull();
  });
  it.each(["8", "neuron 8", "c 8", "c/8", "neuron c 8"])("understands %s as a neuron", (query) => {
    const [first] = find(circuit, query)!;
    expect([first!.kind, first!.title, first!.group, first!.neuron]).toEqual(["neuron", "Neuron 8", "c/0", 8]);
  });
  it("takes a number for a neuron or a group before it takes it for a layer, and for no group of that layer", () => {
    const layers = data.layers.map((layer, i) => (i === 2 ? { ...layer, name: "c8" } : layer));
    const found = find(circuitOf({ ...data, layers }), "8")!;
    expect(found.map(({ kind }) => kind)).toEqual(["neuron", "layer"]);
  });
  it("calls a class without a name by its number", () => {
    const numbered = { ...data, target: "3" };
    const top = { id: "c/0", label: null, layer: 2 };
    expect(
      titleOf(top, {
        ...numbered,
        layers: [...data.layers.slice(0, 2), { ...data.layers[2]!, groups: [data.layers[2]!.groups[0]!] }],
      }),
    ).toBe("class 3");
  });
  it("understands classes and layers, and a layer's group by its number", () => {
    expect(find(circuit, data.target)![0]).toMatchObject({ kind: "class", title: data.target });
    expect(find(circuit, "c")!.some(({ kind, title }) => kind === "layer" && title === "c")).toBe(true);
    expect(kinds("group b 1")).toEqual(["group Group 1 b/1"]);
    expect(find(circuit, "no such thing")).toEqual([]);
    const others = resultsOf(
      {
        classes: [
          { index: 3, name: "bat" },
          { index: 0, name: data.target },
        ],
        groups: [
          { id: "b/1", contrast: 1.25 },
          { id: "gone/1", contrast: 3 },
        ],
      },
      circuit,
    );
    expect(find(circuit, "wings", others)!.map(({ kind, group, rival }) => [kind, group, rival])).toEqual([
      ["group", "b/1", undefined],
      ["class", null, 3],
    ]);
    const [, elsewhere] = find(circuit, "wings", others)!;
    expect([raisedBy([elsewhere!]), raisedBy(null), raisedBy([])]).toEqual([null, null, new Set()]);
  });
  it("goes first to the group that matters most", () => {
    expect(best(circuit, groupsIn(find(circuit, "b/")!))).toBe("b/0");
    expect(best(circuit, new Set())).toBeUndefined();
  });
  it("keeps the view in the address", () => {
    const plain = {
      group: null,
      neuron: null,
      path: null,
      share: SHARE_AT_FIRST,
      query: "",
      cuts: {},
      masked: [],
      depth: 1,
      view: null,
      pins: [],
      names: {},
      pictures: [],
      rival: null,
      figure: {},
      at: null,
    };
    expect(readState("")).toEqual(plain);
    expect(writeState(plain)).toBe("#");
    const view = {
      group: "layer4.1/3",
      neuron: 12,
      path: "pixels" as const,
      share: 0.35,
      query: "ear & eye",
      cuts: { "layer4.1": 9, "b=c": 2 },
      masked: ["b/1", "a/3"],
      depth: 0.35,
      view: "figure" as const,
      pins: ["b/1", "a/3"],
      names: { "b/1": "muzzle = wet & dark", "a/3": "fur" },
      pictures: ["s12", "p3"],
      rival: "207",
      figure: { size: "slide", title: "Why?" },
      at: { x: -40, y: 310, k: 0.75 },
    };
    expect(readState(writeState(view))).toEqual(view);
  });
  it("takes nonsense in the address for nothing", () => {
    expect(readState("#path=up&share=much&at=1,2&neuron=x")).toEqual(readState(""));
    expect(readState("#cut=&cut==3&cut=a=0&cut=a=1.5&cut=a")).toEqual(readState(""));
    expect(readState("#share=7&at=1,2,0")).toEqual({ ...readState(""), share: 1 });
  });
  it("takes an address that cannot be decoded for none", () => {
    for (const torn of ["#%", "#%E0%A4%A", "#group=%&find=%zz&at=%"]) expect(() => readState(torn)).not.toThrow();
    expect(readState("#neuron=&share=")).toEqual(readState(""));
    expect(["#%", "#%E0%A4%A", "", "#head-0-bee", "#a%20b"].map(readName)).toEqual(["", "", "", "head-0-bee", "a b"]);
  });
  it("takes nothing from an address that it does not know", () => {
    expect(readState("#view=else&picture=x1&picture=s&name=x&figure==&depth=9")).toEqual(readState(""));
  });
  it("keeps a view from an address within reach", () => {
    expect(readState("#at=1e300,-1e300,1e300").at).toEqual({ x: 1e6, y: -1e6, k: 3 });
    expect(readState("#at=0,0,1e-300").at).toEqual({ x: 0, y: 0, k: 0.03 });
  });
  it("reads numbers as people do", () => {
    expect([signed(-0.254), signed(0.0312), percent(0.0042), percent(0.5)]).toEqual([
      "−0.25",
      "+0.031",
      "0.4\u00a0%",
      "50\u00a0%",
    ]);
  });
  it("gives mean and worst score error of a layer", () => {
    expect(scoreError(data.layers[1]!)).toEqual({ mean: 0.2, worst: 0.3 });
    expect(scoreError(data.layers[0]!)).toBeNull();
    expect(spread({ mean: 0.012, worst: 0.3 })).toBe("1.2\u00a0%, worst 30\u00a0%");
    expect(spread({ mean: 1e-9, worst: 2e-9 })).toBe("<\u00a00.001\u00a0%");
  });
});
