// Generated from the Python types: make web-types

/**
 * Everything the page shows.
 */
export interface AtlasPageData {
  kind?: "atlas";
  model: string;
  sweep: string;
  links: "files" | "served" | "none";
  classes: ClassData[];
  kept: number | null;
  neighbours: number;
  same?: Same;
  shortcuts: ShortcutData[];
  pictures: string[];
}
/**
 * A class: a target with its circuit.
 */
export interface ClassData {
  circuit: string;
  target: string;
  images: number;
  crops: number;
  neurons: number;
  groups: number;
  edges: number;
  x: number;
  y: number;
  own: string | null;
  portrait: [string, number][];
  nearest: [number, number][];
  shared: SharedGroups[];
  shown: Shown;
}
/**
 * A group, and the one of another class that is most like it.
 */
export interface SharedGroups {
  other: number;
  by: "neurons" | "crops";
  layer: string;
  group: string;
  match: string;
  similarity: number;
}
export interface Shown {
  [k: string]: ShownGroup;
}
/**
 * A group that the page names somewhere.
 */
export interface ShownGroup {
  label: string | null;
  pictures: number[];
}
export interface Same {
  [k: string]: number;
}
/**
 * A group whose crops keep to one place of their pictures.
 */
export interface ShortcutData {
  circuit: number;
  group: string;
  spread: number;
  weight: number;
  pictures: number;
}
