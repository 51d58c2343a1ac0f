/** The rows of the tables of a circuit, from the target down. */

import { digits, fixed, percent, weightsAs } from "../shared/format";
import type { Circuit } from "./circuit";

export type Row = Record<string, string | number | null>;
export const KINDS = ["groups", "neurons", "edges"] as const;
export type Kind = (typeof KINDS)[number];

export interface Column {
  key: string;
  title: string;
  about?: string;
  /** how its numbers are written; none: it holds text */
  write?: (value: number) => string;
}

const whole = (value: number) => value.toLocaleString("en");
const short = (value: number) => digits(value, 3);
const twoDecimals = (value: number) => fixed(value, 2);
const FORMS = { count: whole, number: twoDecimals, share: percent };

export function rowsOf(circuit: Circuit, kind: Kind): { columns: Column[]; rows: Row[] } {
  if (kind === "groups") return { columns: groupColumns(circuit), rows: groups(circuit) };
  return kind === "neurons"
    ? { columns: NEURONS, rows: neurons(circuit) }
    : { columns: edgeColumns(circuit), rows: edges(circuit) };
}

const groupColumns = ({ data }: Circuit): Column[] => [
  { key: "group", title: "Group" },
  { key: "label", title: "Label" },
  { key: "layer", title: "Layer" },
  {
    key: "weight",
    title: "Weight",
    about: "into the target: signed weights multiplied along each path and added up over all paths",
    write: weightsAs(data.shares),
  },
  { key: "neurons", title: "Neurons", write: whole },
  {
    key: "patterns",
    title: "Members",
    about: "neurons, each counted once for each of its meanings here",
    write: whole,
  },
  { key: "photographs", title: "Photographs", about: "number of photographs that its crops come from", write: whole },
  {
    key: "returns",
    title: "Reproducibility",
    about: "how well it is found again on halves of the pictures: 1 if always, 0 at chance level",
    write: twoDecimals,
  },
  ...data.group_columns.map(({ form, ...column }) => ({ ...column, write: FORMS[form] })),
];

function groups({ data, columns, groups }: Circuit): Row[] {
  return [...columns].reverse().flatMap((column) =>
    column
      .map((id) => groups.get(id)!)
      .sort((a, b) => Math.abs(b.pathWeight) - Math.abs(a.pathWeight))
      .map((group) => ({
        group: group.id,
        label: group.label,
        layer: data.layers[group.layer]!.name,
        weight: group.pathWeight,
        neurons: new Set(group.members.map(([a]) => a)).size,
        patterns: group.members.length,
        photographs: new Set(group.crops.map((crop) => data.crops[crop]!.image)).size,
        returns: group.returns,
        ...group.figures,
      })),
  );
}

const NEURONS: Column[] = [
  { key: "neuron", title: "Neuron" },
  { key: "layer", title: "Layer" },
  { key: "group", title: "Groups" },
  { key: "patterns", title: "Meanings", about: "kinds of picture that it responds to", write: whole },
  { key: "strongest", title: "Strongest", about: "its largest activation on any crop", write: short },
  { key: "weakest", title: "Weakest", about: "its smallest activation on its own crops", write: short },
  {
    key: "score_error",
    title: "Score error",
    about: "estimated distance of its scores from integrated gradients",
    write: percent,
  },
];

function neurons({ data }: Circuit): Row[] {
  return [...data.layers].reverse().flatMap(({ name, neurons }) =>
    Object.values(neurons).map((neuron) => ({
      neuron: neuron.index,
      layer: name,
      group: [...new Set(neuron.meanings.map(({ group }) => group))].join(" "),
      patterns: neuron.meanings.length,
      strongest: neuron.strongest,
      weakest: neuron.weakest,
      score_error: neuron.score_error,
    })),
  );
}

const edgeColumns = ({ data }: Circuit): Column[] => [
  { key: "lower", title: "From" },
  { key: "lower_label", title: "Label" },
  { key: "upper", title: "Into" },
  { key: "upper_label", title: "Label" },
  { key: "weight", title: "Weight", write: weightsAs(data.shares) },
  { key: "significance", title: "p", about: "p-value from randomly permuted groups", write: short },
  {
    key: "stability",
    title: "Found again",
    about: "share of resamples of the pictures in which it is found",
    write: percent,
  },
];

function edges({ data, groups }: Circuit): Row[] {
  return [...data.edges]
    .sort((a, b) => Math.abs(b.weight) - Math.abs(a.weight))
    .map(({ lower, upper, weight, significance, stability }) => ({
      lower,
      lower_label: groups.get(lower)?.label ?? null,
      upper,
      upper_label: groups.get(upper)?.label ?? null,
      weight,
      significance,
      stability,
    }));
}

/** Numbers by size, signs included; texts by their letters and numbers; unknown values last. */
export function sorted(rows: Row[], by: string, down: boolean): Row[] {
  const way = down ? -1 : 1;
  return [...rows].sort((first, second) => {
    const [a, b] = [first[by], second[by]];
    if (a == null || b == null) return Number(a == null) - Number(b == null);
    if (typeof a === "number" && typeof b === "number") return way * (a - b);
    return way * String(a).localeCompare(String(b), "en", { numeric: true });
  });
}

/** RFC 4180; a text that a spreadsheet would read as a formula is kept as text. */
export function toCsv(columns: Column[], rows: Row[]): string {
  const cell = (value: string | number | null | undefined) => {
    if (typeof value === "number" || value == null) return String(value ?? "");
    const plain = /^[=+\-@\t\r]/.test(value) ? `'${value}` : value;
    return /[",\n\r]/.test(plain) ? `"${plain.replaceAll('"', '""')}"` : plain;
  };
  return [columns.map(({ key }) => key), ...rows.map((row) => columns.map(({ key }) => row[key]))]
    .map((line) => line.map(cell).join(","))
    .join("\r\n");
}
