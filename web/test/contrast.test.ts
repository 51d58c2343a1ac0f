import { describe, expect, it } from "vitest";
import drawing from "../src/circuit/circuit.css?raw";
import css from "../src/shared/style.css?raw";

type Colour = [number, number, number];

const blocks = [...css.matchAll(/\{([^{}]*--back:[^{}]*)\}/g)].map((match) => match[1]!);
const colours = (block: string) =>
  new Map([...block.matchAll(/--([\w-]+):\s*#(\w{6})/g)].map(([, name, hex]) => [name!, parse(hex!)] as const));
const parse = (hex: string) => [0, 2, 4].map((i) => parseInt(hex.slice(i, i + 2), 16)) as Colour;

/** WCAG 2.2, relative luminance and contrast ratio. */
const luminance = (colour: Colour) => {
  const [r, g, b] = colour.map((v) => (v / 255 <= 0.04045 ? v / 255 / 12.92 : ((v / 255 + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r! + 0.7152 * g! + 0.0722 * b!;
};
const contrast = (a: Colour, b: Colour) => {
  const [dark, light] = [luminance(a), luminance(b)].sort((x, y) => x - y);
  return (light! + 0.05) / (dark! + 0.05);
};
const mixed = (over: Colour, under: Colour, opacity: number) =>
  over.map((v, i) => opacity * v + (1 - opacity) * under[i]!) as Colour;

describe.each([
  ["light", blocks[0]!],
  ["dark by preference", blocks[1]!],
  ["dark by choice", blocks[2]!],
])("%s", (_, block) => {
  const found = colours(block);
  const of = (name: string) => found.get(name)!;

  it.each(["text", "quiet", "for", "against"])("%s can be read on every ground", (name) => {
    for (const ground of ["back", "surface"]) expect(contrast(of(name), of(ground))).toBeGreaterThanOrEqual(4.5);
  });
  it("notes can be read", () => expect(contrast(of("text"), of("note"))).toBeGreaterThanOrEqual(4.5));
  it.each(["for", "against"])("an edge %s can be told from the ground", (name) => {
    const opacity = Number(/\.edge \{[^}]*opacity: ([\d.]+)/.exec(drawing)![1]);
    expect(contrast(mixed(of(name), of("back"), opacity), of("back"))).toBeGreaterThanOrEqual(3);
  });
  it("the frame of a field can be seen", () => {
    for (const ground of ["back", "surface"])
      expect(contrast(of("edge-of-field"), of(ground))).toBeGreaterThanOrEqual(3);
  });
});
