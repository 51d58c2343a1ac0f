import { describe, expect, it } from "vitest";
import { differing, firing, litOf } from "../src/live/lit";
import type { GroupReading, LivePicture } from "../src/shared/types";

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
    expect(lit.get("x/0")).toEqual({ fires: "A", strength: 0.5, masked: false });
    expect(lit.get("x/1")).toEqual({ fires: "", strength: 0, masked: false });
    expect(lit.get("x/2")!.strength).toBe(1);
  });
  it("names the pictures of two, and keeps what is masked", () => {
    const lit = litOf([a, b], new Set(["x/0", "y/0"]))!;
    expect([...lit].map(([id, { fires, masked }]) => [id, fires, masked])).toEqual([
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
