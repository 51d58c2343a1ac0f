import { describe, expect, it } from "vitest";
import { find, names, pictureSide, spots } from "../src/atlas/find";
import type { AtlasPageData, ClassData } from "../src/shared/types";

const one = (target: string, x = 0, y = 0, label: string | null = null): ClassData => ({
  circuit: `fc-${target}`,
  target,
  images: 1,
  crops: 1,
  neurons: 1,
  groups: 1,
  edges: 1,
  x,
  y,
  own: null,
  portrait: [],
  nearest: [],
  shared: [],
  shown: label ? { "low/0": { label, pictures: [] } } : {},
});
const data = { classes: [one("zebra"), one("ant", 0, 0, "six legs"), one("Bee")] } as AtlasPageData;
const still = { k: 1, x: 0, y: 0 };

describe("search", () => {
  it("lists all by name", () =>
    expect(find(data, " ").map((i) => data.classes[i]!.target)).toEqual(["ant", "Bee", "zebra"]));
  it("finds by target, circuit and label", () => {
    expect(find(data, "be")).toEqual([2]);
    expect(find(data, "FC-Z")).toEqual([0]);
    expect(find(data, "legs")).toEqual([1]);
    expect(find(data, "moth")).toEqual([]);
  });
});

describe("the map", () => {
  const corners = [one("a", -1, 1), one("b", 1, 1), one("c", 1, -1), one("d", 0, 0)];
  it("fits the screen, up is up", () => {
    const at = spots(corners, 800, 600, still);
    expect(at).toHaveLength(4);
    for (const { x, y } of at) expect(x > 0 && x < 800 && y > 0 && y < 600).toBe(true);
    expect(at[0]!.y).toBeLessThan(at[2]!.y);
    expect(at[3]).toEqual({ place: 3, x: 400, y: 300 });
  });
  it("leaves out what is out of sight", () => {
    const at = spots(corners, 800, 600, { k: 4, x: -1200, y: -900 }); // around the middle
    expect(at.map(({ place }) => place)).toEqual([3]);
  });
  it("shows pictures where few are in view, so large that they do not touch", () => {
    const row = (count: number, gap: number) =>
      Array.from({ length: count }, (_, place) => ({ place, x: gap * place, y: 0 }));
    expect(pictureSide(row(61, 100))).toBe(0);
    expect(pictureSide(row(10, 60))).toBe(45);
    expect(pictureSide(row(10, 500))).toBe(64);
    expect(pictureSide(row(10, 2))).toBe(26);
    expect(pictureSide(row(1, 1))).toBe(64);
    expect(pictureSide([])).toBeGreaterThan(0);
  });
});

describe("names", () => {
  const near = [one("first"), one("second"), one("third")];
  const at = [
    { place: 0, x: 100, y: 100 },
    { place: 1, x: 110, y: 101 },
    { place: 2, x: 300, y: 100 },
  ];
  const told = (...args: Parameters<typeof names>) => names(...args).map(({ text }) => text);
  it("never stand over one another", () => expect(told(at, near, [], 4)).toEqual(["first", "third"]));
  it("who comes first has the room", () => expect(told(at, near, [1], 4)).toEqual(["second", "third"]));
  it("never stand over another picture, but for the chosen one's", () => {
    const below = [
      { place: 0, x: 100, y: 100 },
      { place: 1, x: 100, y: 145 },
    ];
    expect(told(below, near, [], 20)).toEqual(["second"]);
    expect(told(below, near, [0], 20)).toEqual(["first", "second"]);
  });
  it("are cut where they are long, and no more than asked for", () => {
    const [long] = names([{ place: 0, x: 0, y: 0 }], [one("a".repeat(40))], [], 4);
    expect(long!.text).toBe(`${"a".repeat(23)}…`);
    expect(names(at, near, [], 4, 1)).toHaveLength(1);
  });
});
