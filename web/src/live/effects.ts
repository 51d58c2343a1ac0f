/**
 * What each group does for the answer on one picture, asked for in the background.
 *
 * 1. One request masks every group by itself.
 * 2. A few groups a request, strongest first, are compared with random neurons: two at first, so that the
 *    sentence comes soon, then more, which the server runs as one batch. Between two requests it answers
 *    others, such as masks that the reader tries meanwhile.
 */

import { useEffect, useState } from "preact/hooks";
import type { Circuit } from "../circuit/circuit";
import type { Cuts } from "../circuit/cuts";
import type { LiveCalls } from "../shared/client";
import type { Effects, EffectsRequest, GroupEffect, GroupReading } from "../shared/types";
import type { By } from "./state";

export interface Why extends Omit<Effects, "effects"> {
  /** strongest first */
  effects: GroupEffect[];
  /** how many were compared with random neurons */
  compared: number;
}

interface Wanted {
  /** number of the picture; null: none is there */
  picture: number | null;
  rival: string | null;
  by: By;
  cuts: Cuts;
  /** raised to ask again */
  attempt: number;
}

/** Groups in a request that compares them with random neurons: in the first one, and at most. */
const AT_FIRST = 2;
const AT_MOST = 8;
const DRAWS = 20;

export function useEffects(
  calls: LiveCalls,
  circuit: Circuit,
  { picture, rival, by, cuts, attempt }: Wanted,
  fail: (message: string) => void,
): Why | null {
  const [why, setWhy] = useState<Why | null>(null);
  const groups = circuit.columns.slice(0, -1).flat();
  useEffect(() => {
    setWhy(null);
    if (picture === null || !groups.length) return;
    const running = new AbortController();
    const ask = (some: string[], draws: number) =>
      calls.effects(
        { picture, groups: some as EffectsRequest["groups"], rival: rivalOf(rival), by, draws, cuts },
        running.signal,
      );
    follow(groups, ask, setWhy).catch((problem: Error) => {
      if (!running.signal.aborted) fail(problem.message);
    });
    return () => running.abort();
  }, [calls, picture, rival, by, attempt, groups.join("\n")]);
  return why;
}

/** Asks for all groups, then for the controls of a few at a time. */
export async function follow(
  groups: string[],
  ask: (groups: string[], draws: number) => Promise<Effects>,
  tell: (why: Why) => void,
): Promise<void> {
  const first = await ask(groups, 0);
  const effects = [...first.effects].sort((a, b) => Math.abs(b.effect) - Math.abs(a.effect));
  tell({ ...first, effects, compared: 0 });
  for (let at = 0, size = AT_FIRST; at < effects.length; at += size, size = Math.min(2 * size, AT_MOST)) {
    const some = effects.slice(at, at + size).map(({ id }) => id);
    const found = await ask(some, DRAWS);
    effects.splice(at, some.length, ...found.effects);
    tell({ ...first, effects: [...effects], compared: at + some.length });
  }
}

const rivalOf = (text: string | null): EffectsRequest["rival"] => {
  if (text === "none") return "none";
  return text && /^\d{1,9}$/.test(text) ? Number(text) : "nearest";
};

/** Whether a group does more than random neurons do; null while that is not known. */
export function standsOut({ effect, random }: GroupEffect): boolean | null {
  return random ? effect > random[2] || effect < random[1] : null;
}

/** A group that is not active may do something all the same: it is not missing then. */
export function stateOf({ fires, missing }: Pick<GroupReading, "fires" | "missing">, effect: GroupEffect): string {
  if (fires) return "active";
  if (standsOut(effect)) return "weak";
  return missing ? "missing" : "silent";
}

const NAMED = 3;
const MISSED = 2;

export interface Reasons {
  speakFor: GroupEffect[];
  speakAgainst: GroupEffect[];
  missing: GroupReading[];
}

/** The groups that a sentence about the answer names. */
export function reasonsOf({ effects, answer, rival }: Why, readings: GroupReading[], target: string): Reasons {
  const telling = effects.filter((effect) => standsOut(effect));
  const speakFor = telling.filter(({ effect }) => effect > 0).slice(0, NAMED);
  const speakAgainst = telling.filter(({ effect }) => effect < 0).slice(0, NAMED - 1);
  const present = new Set(telling.map(({ id }) => id)); // what does something is not missing
  const concerns = answer.name === target || rival?.name === target;
  return {
    speakFor,
    speakAgainst,
    missing: (concerns ? readings : [])
      .filter(({ id, missing, reach }) => missing && reach > 0 && !present.has(id))
      .sort((a, b) => b.reach - a.reach)
      .slice(0, MISSED),
  };
}

/** A reading's heat at a place given as shares of width and height; 1 is as on the group's own crops. */
export function heatAt(heat: number[][], place: { x: number; y: number }): number {
  const row = heat[Math.min(Math.floor(place.y * heat.length), heat.length - 1)] ?? [];
  return row[Math.min(Math.floor(place.x * row.length), row.length - 1)] ?? 0;
}
