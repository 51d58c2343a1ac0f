import { describe, expect, it } from "vitest";
import type { Circuit } from "../src/circuit/circuit";
import { curve, firstView, HEAD, layout, revealing, thickness } from "../src/circuit/layout";

const SCREEN = { width: 1280, height: 640 };

/** A circuit as far as the layout looks at it: `heavy` groups matter, others do not. */
const columns = (lengths: number[], heavy: string[] = []) => {
  const columns = lengths.map((length, c) => Array.from({ length }, (_, row) => `${c}/${row}`));
  const groups = new Map(columns.flat().map((id) => [id, { pathWeight: heavy.includes(id) ? -1 : 0 }]));
  return { columns, groups } as unknown as Circuit;
};

describe("a layout", () => {
  it.each([[[3, 5, 1]], [[12, 20, 1]], [[60, 66, 64, 1]]])("of %j keeps cards apart and inside", (lengths) => {
    const plan = layout(columns(lengths, ["0/0"]), SCREEN);
    const places = [...plan.places.values()];
    expect(places).toHaveLength(lengths.reduce((a, b) => a + b));
    places.forEach((a, i) => {
      expect(a.x).toBeGreaterThanOrEqual(0);
      expect(a.x + plan.card.width).toBeLessThanOrEqual(plan.width + 1e-6);
      expect(a.y).toBeGreaterThanOrEqual(0);
      expect(a.y + plan.card.height).toBeLessThanOrEqual(plan.height + 1e-6);
      for (const b of places.slice(i + 1))
        expect(Math.abs(a.x - b.x) >= plan.card.width || Math.abs(a.y - b.y) >= plan.card.height).toBe(true);
    });
  });
  it("sets the target at the height of what matters to it", () => {
    const { places } = layout(columns([20, 20, 1], ["0/3", "1/5"]), SCREEN);
    expect(places.get("2/0")!.y).toBeCloseTo((places.get("0/3")!.y + places.get("1/5")!.y) / 2);
    expect(layout(columns([3, 1]), SCREEN).places.get("1/0")!.y).toBeCloseTo(
      layout(columns([3, 1]), SCREEN).places.get("0/1")!.y,
    );
  });
  it("puts more pictures on a card where columns are short", () => {
    expect(layout(columns([3, 1]), SCREEN).card.crops).toBeGreaterThan(layout(columns([20, 1]), SCREEN).card.crops);
  });
  it("draws an edge from the right side of one card to the left side of the next", () => {
    const card = { width: 100, height: 40 };
    expect(curve({ x: 0, y: 0 }, { x: 200, y: 80 }, card)).toBe("M100,20C150,20 150,100 200,100");
  });
  it("makes heavier edges thicker, whatever their sign", () => {
    expect(thickness(-0.8, 1)).toBeGreaterThan(thickness(0.4, 1));
    expect(thickness(0, 0)).toBeGreaterThan(0);
  });
});

describe("the first view", () => {
  it("shows all of a small circuit, in the middle", () => {
    const plan = { width: 800, height: 300, middle: 90, readable: 0.66 };
    const { k, x: left, y: top } = firstView(plan, SCREEN);
    expect(left + (plan.width * k) / 2).toBeCloseTo(SCREEN.width / 2);
    expect(top).toBeGreaterThan(HEAD);
    expect(top + plan.height * k).toBeLessThan(SCREEN.height);
  });
  it("stays readable for a large one, and keeps its right end, the target, in sight", () => {
    const plan = { width: 6000, height: 5000, middle: 1700, readable: 0.66 };
    const { k, x: left, y: top } = firstView(plan, SCREEN);
    expect(k).toBeGreaterThan(0.5);
    expect(left + plan.width * k).toBeLessThan(SCREEN.width);
    expect(left + plan.width * k).toBeGreaterThan(SCREEN.width - 50);
    expect(top + plan.middle * k).toBeGreaterThan(HEAD + 200);
    expect(top + plan.middle * k).toBeLessThan(SCREEN.height - 200);
  });
});

describe("the size of cards", () => {
  const scale = (lengths: number[], width: number) => {
    const screen = { width, height: width / 2 };
    return firstView(layout(columns(lengths), screen), screen).k;
  };
  it("grows with the screen where columns fit beside each other", () => {
    const [small, middle, large] = [1280, 1440, 1920].map((width) => scale([20, 14, 11, 2, 1], width));
    expect(small).toBeGreaterThan(0.7);
    expect(middle).toBeGreaterThan(small!);
    expect(large).toBe(1);
  });
  it("stays the smallest where they do not", () => expect(scale(Array(20).fill(100), 1280)).toBe(0.66));
});

describe("revealing a card", () => {
  const card = { width: 100, height: 50, crops: 4 };
  const view = { k: 1, x: 0, y: 0 };
  it("moves nothing if it is in sight", () => {
    expect(revealing(view, { x: 300, y: 200 }, { card, gap: 100, width: 4000 }, SCREEN)).toEqual(view);
  });
  it.each([
    { x: -500, y: 200 },
    { x: 3000, y: 200 },
    { x: 300, y: -900 },
    { x: 300, y: 4000 },
  ])("brings one at %j into sight", (place) => {
    const { k, x: left, y: top } = revealing(view, place, { card, gap: 100, width: 4000 }, SCREEN);
    expect(k).toBe(1);
    expect(left + place.x).toBeGreaterThanOrEqual(0);
    expect(left + place.x + card.width).toBeLessThanOrEqual(SCREEN.width);
    expect(top + place.y).toBeGreaterThanOrEqual(HEAD);
    expect(top + place.y + card.height).toBeLessThanOrEqual(SCREEN.height);
  });
  it("shows the columns beside it too, where there is room", () => {
    const { x: left } = revealing(view, { x: 3000, y: 200 }, { card, gap: 100, width: 4000 }, SCREEN);
    expect(left + 3000 + card.width + 200).toBeLessThanOrEqual(SCREEN.width);
    const first = revealing({ k: 1, x: -300, y: 0 }, { x: 0, y: 200 }, { card, gap: 100, width: 4000 }, SCREEN);
    expect(first.x).toBeLessThan(100); // there is nothing before the first column
    const narrow = { width: 200, height: 640 };
    const { x } = revealing(view, { x: 3000, y: 200 }, { card, gap: 100, width: 4000 }, narrow);
    expect(x + 3000).toBeGreaterThanOrEqual(0);
    expect(x + 3000 + card.width).toBeLessThanOrEqual(narrow.width);
  });
});
