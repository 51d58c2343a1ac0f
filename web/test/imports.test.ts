import { describe, expect, it } from "vitest";

const sources = import.meta.glob("../src/**/*.{ts,tsx}", { query: "?raw", import: "default", eager: true }) as Record<
  string,
  string
>;

/** `circuit/view` → the modules that it imports, in the same form. */
const imports = new Map(
  Object.entries(sources).map(([path, text]) => {
    const name = path.replace(/^\.\.\/src\//, "").replace(/\.tsx?$/, "");
    const folder = name.includes("/") ? name.slice(0, name.lastIndexOf("/")) : "";
    const found = [...text.matchAll(/^(?:import|export)[^;"]*?"(\.[^"]+)"/gm)].map(([, target]) =>
      resolved(folder, target!),
    );
    return [name, found.filter((target) => !/\.(css|json)$/.test(target))] as const;
  }),
);

function resolved(folder: string, target: string): string {
  const parts = folder ? folder.split("/") : [];
  for (const part of target.split("/")) {
    if (part === "..") parts.pop();
    else if (part !== ".") parts.push(part);
  }
  return parts.join("/");
}

/** The folders that each folder may import besides itself. */
const ALLOWED: Record<string, string[]> = {
  shared: [],
  circuit: ["shared"],
  live: ["shared", "circuit"],
  debug: ["shared"],
  comparison: ["shared"],
  atlas: ["shared"],
};

const folderOf = (module: string) => module.slice(0, module.indexOf("/"));

describe("imports", () => {
  it("are found, and lead to modules that exist", () => {
    expect(imports.get("live/app")).toContain("circuit/app");
    expect([...imports.values()].flat().filter((target) => !imports.has(target))).toEqual([]);
  });
  it.each(Object.keys(ALLOWED))("of %s run one way", (folder) => {
    const crossing = [...imports]
      .filter(([name]) => folderOf(name) === folder)
      .flatMap(([name, targets]) => targets.map((target) => [name, target] as const))
      .filter(([, target]) => folderOf(target) !== folder && !ALLOWED[folder]!.includes(folderOf(target)));
    expect(crossing).toEqual([]);
  });
  it("form no circle", () => {
    expect(circleIn(imports)).toBeNull();
  });
  it("would show a circle", () => {
    expect(
      circleIn(
        new Map([
          ["a", ["b"]],
          ["b", ["c"]],
          ["c", ["a"]],
        ]),
      ),
    ).toEqual(["a", "b", "c", "a"]);
  });
});

/** The first circle that is found, as a list of modules; null if there is none. */
function circleIn(graph: ReadonlyMap<string, readonly string[]>): string[] | null {
  const done = new Set<string>();
  const walk = (name: string, trail: string[]): string[] | null => {
    if (trail.includes(name)) return [...trail.slice(trail.indexOf(name)), name];
    if (done.has(name)) return null;
    for (const target of graph.get(name) ?? []) {
      const circle = walk(target, [...trail, name]);
      if (circle) return circle;
    }
    done.add(name);
    return null;
  };
  for (const name of graph.keys()) {
    const circle = walk(name, []);
    if (circle) return circle;
  }
  return null;
}
