/** What the reader has chosen, and the circuit as it is shown: cuts, selection, path, history. */

import { useMemo, useRef, useState } from "preact/hooks";
import { useEvents } from "../shared/events";
import type { PageData } from "../shared/types";
import { type Circuit, circuitOf, type Group } from "./circuit";
import { recut, validCuts } from "./cuts";
import { type Path, stations, strongestPath } from "./path";
import { type PageState, readState, writeState } from "./state";

export interface Explorer {
  circuit: Circuit;
  state: PageState;
  change(part: Partial<PageState>): void;
  group: Group | undefined;
  path: Path | null;
  select(id: string | null, neuron?: number | null): void;
  /** shows a layer in another number of groups; null: as it is stored */
  cut(layer: string, count: number | null): void;
  /** collects a group for a figure, or lets go of it */
  pin(id: string): void;
  /** names a group in the address; an empty name restores the stored one */
  name(id: string, text: string): void;
}

export function useExplorer(data: PageData): Explorer {
  const [state, change] = usePageState();
  const cuts = useMemo(() => validCuts(data, state.cuts), [data, JSON.stringify(state.cuts)]);
  const circuit = useMemo(
    () => circuitOf(renamed(recut(data, cuts), state.names), data),
    [data, cuts, JSON.stringify(state.names)],
  );
  const group = state.group ? circuit.groups.get(state.group) : undefined;
  const path = useMemo(
    () => (group && state.path ? strongestPath(circuit, group.id, state.path) : null),
    [circuit, group, state.path],
  );
  const select = (id: string | null, neuron: number | null = null) => {
    // a reader who follows a path stays on it
    const stays = id !== null && group && path && stations(path, group.id).includes(id);
    change({ group: id, neuron, path: stays ? state.path : null });
  };
  const cut = (layer: string, count: number | null) => {
    const { [layer]: _, ...others } = cuts;
    const next = validCuts(data, count === null ? others : { ...others, [layer]: count });
    const after = circuitOf(recut(data, next), data);
    change({ cuts: next, ...following(circuit, after, state) });
  };
  const pin = (id: string) =>
    change({ pins: state.pins.includes(id) ? state.pins.filter((other) => other !== id) : [...state.pins, id] });
  const name = (id: string, text: string) => {
    const { [id]: _, ...others } = state.names;
    change({ names: text ? { ...others, [id]: text } : others });
  };
  return { circuit, state, change, group, path, select, cut, pin, name };
}

/** The page's data with groups named as the address says. */
export function renamed(data: PageData, names: Record<string, string>): PageData {
  if (!Object.keys(names).length) return data;
  const layers = data.layers.map((layer) => ({
    ...layer,
    groups: layer.groups.map((group) =>
      names[group.id] ? { ...group, label: names[group.id]!, evidence: null } : group,
    ),
  }));
  return { ...data, layers };
}

/** Selection and masks carried over to another cut. */
export function following(
  before: Circuit,
  after: Circuit,
  { group, masked }: PageState,
): Pick<PageState, "group" | "masked"> {
  const selected = group ? before.groups.get(group) : undefined;
  const member = String(selected?.members[0]);
  const layer = after.data.layers[selected?.layer ?? -1];
  const next = layer?.groups.find(({ members }) => members.some((each) => String(each) === member));
  const off = new Set(
    masked.flatMap((id) => {
      const found = before.groups.get(id);
      return (found?.members ?? []).map((each) => `${found!.layer}:${each}`);
    }),
  );
  const still = [...after.groups.values()].filter(({ layer, members }) =>
    members.every((each) => off.has(`${layer}:${each}`)),
  );
  return { group: next?.id ?? null, masked: still.map(({ id }) => id) };
}

/** Whether a change is a step that the browser's Back button takes back. */
const isStep = (part: Partial<PageState>) =>
  ["group", "neuron", "path", "cuts", "view", "pins"].some((name) => name in part);

function usePageState(): [PageState, (part: Partial<PageState>) => void] {
  const [state, setState] = useState(() => readState(location.hash));
  const latest = useRef(state);
  latest.current = state;
  const address = useMemo(addressWriter, []);
  useEvents(["popstate", "hashchange"], () => {
    address.forget();
    setState(readState(location.hash));
  });
  const change = (part: Partial<PageState>) => {
    latest.current = { ...latest.current, ...part };
    setState(latest.current);
    address.keep(latest.current, isStep(part));
  };
  return [state, change];
}

/**
 * Keeps the state in the address. Browsers refuse more than a few changes a second, so only the first ones of a
 * rush are written at once; the last one follows when the rush is over.
 */
function addressWriter() {
  const PAUSE = 300;
  const AT_ONCE = 5;
  let waiting: ReturnType<typeof setTimeout> | undefined;
  let rush: number[] = [];
  let pushes = false;
  const write = (state: PageState) => {
    rush.push(performance.now());
    const text = writeState(state);
    try {
      if (pushes && text !== (location.hash || "#")) history.pushState(null, "", text);
      else history.replaceState(null, "", text);
    } catch {
      // a notebook's frame has no address to keep it in
    }
    pushes = false;
  };
  return {
    keep(state: PageState, step: boolean) {
      clearTimeout(waiting);
      pushes ||= step;
      const now = performance.now();
      rush = rush.filter((time) => now - time < PAUSE * AT_ONCE);
      if (rush.length < AT_ONCE) write(state);
      else waiting = setTimeout(() => write(state), PAUSE);
    },
    forget() {
      clearTimeout(waiting);
      pushes = false;
    },
  };
}
