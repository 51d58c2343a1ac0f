import { describe, expect, it } from "vitest";
import { follow, heatAt, reasonsOf, standsOut, stateOf, type Why } from "../src/live/effects";
import { differing, firing, litOf } from "../src/live/lit";
import { linksFrom } from "../src/shared/page_links";
import type { Effects, GroupReading, LivePicture } from "../src/shared/types";

const reading = (id: string, score: number, reach: number): GroupReading =>
  ({ id, score, threshold: 0.5, fires: score >= 0.5, reach, crops: [] }) as unknown as GroupReading;
const picture = (number: number, ...groups: GroupReading[]): LivePicture =>
  ({ number, shown: { picture: "", size: [8, 8], report: { name: `${number}`, groups } } }) as unknown as LivePicture;

const a = picture(1, reading("x/0", 0.75, 0.1), reading("x/1", 0.2, 0.9), reading("x/2", 3, -0.4));
const b = picture(2, reading("x/0", 1.2, 0.1), reading("x/1", 0.6, 0.9), reading("x/2", 0.1, -0.4));

describe("what a picture lights up", () => {
  it("is nothing without a picture and without masks", () => expect(litOf([], new Set())).toBeNull());
  it("is as bright as the best score next to the group's own crops", () => {
    const lit = litOf([a], new Set())!;
    expect(lit.get("x/0")).toEqual({ fires: true, letters: "", strength: 0.5, masked: false });
    expect(lit.get("x/1")).toEqual({ fires: false, letters: "", strength: 0, masked: false });
    expect(lit.get("x/2")!.strength).toBe(1);
  });
  it("names the pictures of two, and keeps what is masked", () => {
    const lit = litOf([a, b], new Set(["x/0", "y/0"]))!;
    expect([...lit].map(([id, { letters, masked }]) => [id, letters, masked])).toEqual([
      ["x/0", "AB", true],
      ["y/0", "", true],
      ["x/1", "B", false],
      ["x/2", "A", false],
    ]);
    expect(lit.get("x/0")!.strength).toBeCloseTo(0.8);
  });
});

describe("what fires", () => {
  it("comes by what it carries to the target", () => expect(firing([a]).map(({ id }) => id)).toEqual(["x/2", "x/0"]));
  it("of two pictures puts first what only one shows", () => {
    const rows = differing(firing([a, b]));
    expect(rows.map(({ id }) => id)).toEqual(["x/1", "x/2", "x/0"]);
    expect(rows[0]!.readings.map(({ fires }) => fires)).toEqual([false, true]);
  });
  it("is nothing without a picture", () => expect(firing([])).toEqual([]));
});

const effect = (id: string, value: number, random: [number, number, number] | null = null) => ({
  id,
  effect: value,
  random,
});

describe("why an answer", () => {
  const answer = { index: 1, name: "setter", logit: 3, probability: 0.7 };
  const rival = { index: 2, name: "retriever", logit: 1, probability: 0.1 };
  const reply = (effects: Effects["effects"]): Effects => ({ answer, rival, value: 2, classes: [], effects });

  it("is asked for all at once, then compared strongest first, a few at a time", async () => {
    const asked: [string[], number][] = [];
    const told: Why[] = [];
    await follow(
      ["a", "b", "c", "d"],
      async (groups, draws) => {
        asked.push([groups, draws]);
        const sizes: Record<string, number> = { a: 0.1, b: -3, c: 2, d: 1 };
        return reply(groups.map((id) => effect(id, sizes[id]!, draws ? [0, -0.5, 0.5] : null)));
      },
      (why) => told.push(why),
    );
    expect(asked.map(([groups]) => groups)).toEqual([
      ["a", "b", "c", "d"],
      ["b", "c"],
      ["d", "a"],
    ]);
    expect(asked[0]![1]).toBe(0);
    expect(told.map(({ compared }) => compared)).toEqual([0, 2, 4]);
    expect(told.at(-1)!.effects.map((each) => [each.id, standsOut(each)])).toEqual([
      ["b", true],
      ["c", true],
      ["d", true],
      ["a", false],
    ]);
  });
  it("names what stands out from random neurons, for and against, and what is usual but missing", () => {
    const effects = [
      effect("a", 2, [0, -1, 1]),
      effect("b", -2, [0, -1, 1]),
      effect("c", 0.5, [0, -1, 1]),
      effect("d", 9),
    ];
    const readings = [
      { ...reading("x", 0, 0.4), missing: true },
      { ...reading("y", 0, -0.9), missing: true },
      { ...reading("z", 0, 0.5), missing: false },
      { ...reading("b", 0, 0.9), missing: true }, // it does something
    ];
    expect(effects.map((each) => stateOf(readings[0]!, each))).toEqual(["weak", "weak", "missing", "missing"]);
    expect(stateOf(readings[2]!, effects[3]!)).toBe("silent");
    expect(stateOf({ fires: true, missing: false }, effects[0]!)).toBe("active");
    const reasons = reasonsOf({ ...reply(effects), compared: 3 }, readings, "retriever");
    expect(reasons.speakFor.map(({ id }) => id)).toEqual(["a"]);
    expect(reasons.speakAgainst.map(({ id }) => id)).toEqual(["b"]);
    expect(reasons.missing.map(({ id }) => id)).toEqual(["x"]);
    expect(reasonsOf({ ...reply(effects), compared: 3 }, readings, "tench").missing).toEqual([]);
  });
  it("has heat at a place, to the edges of the picture", () => {
    const heat = [
      [0, 1],
      [2, 3],
    ];
    expect([heatAt(heat, { x: 0.1, y: 0.1 }), heatAt(heat, { x: 1, y: 1 }), heatAt([], { x: 0, y: 0 })]).toEqual([
      0, 3, 0,
    ]);
  });
});

describe("page links", () => {
  it("lead from a comparison and a circuit of a sweep to the pages beside them, and nowhere else", () => {
    expect(linksFrom("http:", "/compare/bee/big%20fly.html")).toEqual([
      ["All classes", "/"],
      ["Circuit of bee", "/circuits/bee.html"],
      ["Circuit of big fly", "/circuits/big%20fly.html"],
    ]);
    expect(linksFrom("file:", "/home/me/map/circuits/bee.html")).toEqual([["All classes", "../index.html"]]);
    expect(linksFrom("http:", "/circuits/big%20fly.html")).toEqual([
      ["All classes", "/"],
      ["Compare with another class", "/#big%20fly"],
    ]);
    expect(linksFrom("file:", "/home/me/report.html")).toEqual([]);
  });
});
