/** Find: what a query may mean, as a list of results that say what they are. */

import { plural } from "../shared/format";
import type { Circuit } from "./circuit";
import { headingOf } from "./names";

export interface Result {
  kind: "group" | "neuron" | "layer" | "class";
  title: string;
  about: string;
  /** the group to go to; none: there is no such place here */
  group: string | null;
  neuron?: number;
  /** of a class that answers can be compared with */
  rival?: number;
  /** groups that the result covers */
  groups: string[];
}

const LISTED = 60;
const KINDS: Result["kind"][] = ["class", "layer", "neuron", "group"];

/**
 * Returns what matches a query; null for an empty query.
 *
 * `429` and `neuron 429` mean a neuron, `layer3.1 12` and `layer3.1/12` a neuron or a group of that layer;
 * anything else is looked for in ids, labels, captions, layers and the target. `others` were found elsewhere.
 */
export function find(circuit: Circuit, query: string, others: Result[] = []): Result[] | null {
  const wanted = query.trim().toLowerCase();
  if (!wanted) return null;
  const numbered = /^(?:(neuron|group)\s+)?(?:(\S+?)[\s/#:]+)?(?:(neuron|group)\s+)?(\d+)$/.exec(wanted);
  const found = [
    ...classesOf(circuit, wanted),
    ...layersOf(circuit, wanted),
    ...(numbered ? numbersOf(circuit, numbered) : []),
    ...groupsOf(circuit, wanted),
    ...others,
  ];
  const seen = new Set<string>();
  return found
    .filter(({ kind, title, group }) => {
      const key = `${kind} ${group} ${title}`;
      return !seen.has(key) && seen.add(key);
    })
    .sort((a, b) => rank(a, wanted) - rank(b, wanted) || weight(circuit, b) - weight(circuit, a));
}

const isNumber = (wanted: string): boolean => /^\d+$/.test(wanted);

/** Other classes of the network come last, what is in the circuit is nearer; a number means a layer least. */
function rank({ kind, rival }: Result, wanted: string): number {
  if (rival !== undefined) return KINDS.length + 1;
  return kind === "layer" && isNumber(wanted) ? KINDS.length : KINDS.indexOf(kind);
}

/** All groups that the results cover. */
export const groupsIn = (results: Result[]): Set<string> => new Set(results.flatMap(({ groups }) => groups));

/** The groups that are raised above the others; null where the results are all elsewhere. */
export function raisedBy(results: Result[] | null): Set<string> | null {
  if (!results) return null;
  const groups = groupsIn(results);
  return results.length && !groups.size ? null : groups;
}

/** As many as a list shows. */
export const listed = (results: Result[]): Result[] => results.slice(0, LISTED);

const weight = (circuit: Circuit, { group }: Result) => Math.abs((group && circuit.groups.get(group)?.pathWeight) || 0);

function classesOf({ data, columns }: Circuit, wanted: string): Result[] {
  if (!data.target.toLowerCase().includes(wanted)) return [];
  const top = columns.at(-1) ?? [];
  return [
    { kind: "class", title: data.target, about: "what the circuit explains", group: top[0] ?? null, groups: top },
  ];
}

function layersOf({ data, columns }: Circuit, wanted: string): Result[] {
  return data.layers.flatMap(({ name }, i) =>
    name.toLowerCase().includes(wanted)
      ? [
          {
            kind: "layer",
            title: name,
            about: plural(columns[i]!.length, "group"),
            group: columns[i]![0]!,
            groups: columns[i]!,
          },
        ]
      : [],
  );
}

function numbersOf({ data, groups }: Circuit, [, first, layer, second, digits]: RegExpExecArray): Result[] {
  const kind = first ?? second;
  const number = Number(digits);
  return data.layers
    .filter(({ name }) => !layer || name.toLowerCase().includes(layer))
    .flatMap(({ name, groups: own }) => {
      const found: Result[] = [];
      const holds = own.filter(({ members }) => members.some(([a]) => a === number)).map(({ id }) => id);
      if (holds.length && kind !== "group") {
        const about = `${name}, in ${holds.map((id) => groups.get(id)!.label ?? id).join(" and ")}`;
        found.push({
          kind: "neuron",
          title: `Neuron ${number}`,
          about,
          group: holds[0]!,
          neuron: number,
          groups: holds,
        });
      }
      const id = `${name}/${number}`;
      if (groups.has(id) && kind !== "neuron")
        found.push({ kind: "group", title: headingOf(groups.get(id)!, data), about: id, group: id, groups: [id] });
      return found;
    });
}

function groupsOf({ data, groups }: Circuit, wanted: string): Result[] {
  return [...groups.values()].flatMap((group) => {
    const own = [group.label, group.caption, ...(group.evidence?.features ?? [])];
    // a number in an id is that of a layer: groups of that number have been found
    const words = (isNumber(wanted) ? own : [group.id, ...own]).join(" ").toLowerCase();
    if (!words.includes(wanted)) return [];
    return [{ kind: "group", title: headingOf(group, data), about: group.id, group: group.id, groups: [group.id] }];
  });
}
