import { describe, expect, it } from "vitest";
import { circuitOf } from "../src/circuit/circuit";
import { aboutInFigure, chosen, figureTitle, laidOut, SIZES, shareShown, type Tile } from "../src/circuit/figure";
import { rowsOf, sorted, toCsv } from "../src/circuit/rows";
import { signedPercent } from "../src/shared/format";
import type { GroupData, PageData } from "../src/shared/types";
import { edge } from "./made";

const group = (id: string): GroupData => ({
  id,
  label: null,
  caption: null,
  evidence: null,
  members: [[Number(id.slice(-1)), 0]],
  crops: [0, 1, 2, 3],
  sights: [],
  stability: null,
  figures: {},
  returns: null,
  measured: true,
  scores: [],
});
const layer = (name: string, count: number) => ({
  name,
  note: null,
  tree: null,
  neurons: {},
  groups: [...Array(count).keys()].map((i) => group(`${name}/${i}`)),
});
const data = {
  target: "bee",
  model: "m",
  shares: true,
  images: ["x", "y", "z"],
  crops: [0, 0, 1, 2].map((image, picture) => ({ image, picture, box: [0, 0, 8, 8] })),
  group_columns: [],
  layers: [layer("a", 3), layer("b", 2), layer("c", 1)],
  edges: [
    edge("a/0", "b/0", 0.6),
    edge("a/1", "b/0", -0.4),
    edge("a/0", "b/1", 0.5),
    edge("b/0", "c/0", 0.7),
    edge("b/1", "c/0", -0.3),
  ],
} as unknown as PageData;
const circuit = circuitOf(data);
const overlap = (a: Tile, b: Tile) =>
  a.x < b.x + b.width && b.x < a.x + a.width && a.y < b.y + b.height && b.y < a.y + a.height;

describe("a figure", () => {
  it("has the pinned groups and the edges between neighbours", () => {
    const drawn = chosen(circuit, "pins", ["b/0", "a/1", "gone/7", "c/0"], null, null);
    expect(drawn.columns.map((column) => column.map(({ id }) => id))).toEqual([["a/1"], ["b/0"], ["c/0"]]);
    expect(drawn.edges.map(({ weight }) => weight)).toEqual([-0.4, 0.7]);
    expect(shareShown(drawn)).toBeCloseTo((0.4 + 0.7) / 2);
  });
  it("adds up all paths where a layer is left out", () => {
    const [found] = chosen(circuit, "pins", ["a/0", "c/0"], null, null).edges;
    expect(found!.weight).toBeCloseTo(0.6 * 0.7 - 0.5 * 0.3);
  });
  it.each(Object.keys(SIZES) as (keyof typeof SIZES)[])(
    "fits the width of a %s, tiles apart, one crop a photograph",
    (size) => {
      const ids = data.layers.flatMap(({ groups }) => groups.map(({ id }) => id));
      const plan = laidOut(chosen(circuit, "pins", ids, null, null), circuit, size, 6);
      const tiles = [...plan.tiles.values()];
      expect(tiles).toHaveLength(6);
      for (const tile of tiles) {
        expect(tile.x).toBeGreaterThanOrEqual(-0.01);
        expect(tile.x + tile.width).toBeLessThanOrEqual(SIZES[size].width + 0.01);
        expect(tile.y + tile.height).toBeLessThanOrEqual(plan.height + 0.01);
        expect(tile.crops.length).toBeLessThanOrEqual(3);
        for (const { x, y } of tile.crops) {
          expect(x + plan.crop).toBeLessThanOrEqual(tile.x + tile.width + 0.01);
          expect(y + plan.crop).toBeLessThanOrEqual(tile.y + tile.height);
        }
        expect(tiles.filter((other) => other !== tile && overlap(tile, other))).toEqual([]);
      }
    },
  );
});

describe("what is printed", () => {
  it("has crops of more than a centimetre in a column, and two of each group in a row of three", () => {
    const drawn = chosen(circuit, "pins", ["a/0", "a/1", "a/2", "b/0", "c/0"], null, null);
    const plan = laidOut(drawn, circuit, "column", 4);
    expect((plan.crop / 96) * 25.4).toBeGreaterThan(10);
    for (const id of ["a/0", "a/1", "a/2"]) expect(plan.tiles.get(id)!.crops).toHaveLength(2);
    expect(plan.tiles.get("b/0")!.crops).toHaveLength(3); // of three photographs
  });
  it("names the library in the caption alone, and no layer or weight twice", () => {
    const other = circuitOf({ ...data, model: "torchvision:resnet18" });
    expect(figureTitle(other)).toBe("What drives bee in resnet18");
    const about = (id: string, label: string | null) =>
      aboutInFigure({ ...other.groups.get(id)!, label, pathWeight: 0.3 }, other);
    expect(about("b/0", null)).toEqual(["+30\u00a0% of the weight", "+30\u00a0%"]);
    expect(about("b/0", "muzzle")).toEqual(["b · +30\u00a0%", "+30\u00a0%"]);
    expect(about("c/0", null)).toEqual(["c"]);
  });
});

describe("tables", () => {
  it("are sorted by size, texts by their numbers, what is unknown last", () => {
    const rows = [
      { v: 2, t: "b/10" },
      { v: null, t: "b/9" },
      { v: -3, t: null },
    ];
    expect(sorted(rows, "v", true).map(({ v }) => v)).toEqual([2, -3, null]);
    expect(sorted(rows, "t", false).map(({ t }) => t)).toEqual(["b/9", "b/10", null]);
  });
  it("are written as CSV that a spreadsheet takes for text", () => {
    const columns = [
      { key: "a", title: "A" },
      { key: "b", title: "B" },
    ];
    expect(
      toCsv(columns, [
        { a: '=1+"2"', b: -0.5 },
        { a: "x,y", b: null },
      ]),
    ).toBe('a,b\r\n"\'=1+""2""",-0.5\r\n"x,y",');
  });
  it("list groups from the target down, strongest first", () => {
    expect(rowsOf(circuit, "groups").rows.map(({ group }) => group)).toEqual([
      "c/0",
      "b/0",
      "b/1",
      "a/1",
      "a/0",
      "a/2",
    ]);
    expect(rowsOf(circuit, "edges").rows[0]).toMatchObject({ lower: "b/0", upper: "c/0", weight: 0.7 });
  });
});

describe("words", () => {
  it("shares have their sign", () => {
    expect([0.523, -0.031, 0.0004, 1].map(signedPercent)).toEqual([
      "+52\u00a0%",
      "−3.1\u00a0%",
      "0\u00a0%",
      "+100\u00a0%",
    ]);
  });
});

describe("a target of several parts", () => {
  it("has them in their order, whatever their edges", () => {
    const edges = [edge("a/0", "c/1", 0.9), edge("a/2", "c/0", 0.2), edge("a/1", "c/2", 0.1)];
    const parts = circuitOf({ ...data, layers: [layer("a", 3), layer("c", 3)], edges } as PageData);
    const { columns } = chosen(parts, "strongest", [], null, null);
    expect(columns.at(-1)!.map(({ id }) => id)).toEqual(["c/0", "c/1", "c/2"]);
  });
});
