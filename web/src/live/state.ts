/** What is being tried: pictures, masked groups, and the server's answers to them. */

import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import type { Mark } from "../circuit/card";
import type { Circuit } from "../circuit/circuit";
import type { Cuts } from "../circuit/cuts";
import type { Explorer } from "../circuit/explorer";
import type { LiveCalls } from "../shared/client";
import { useKeys } from "../shared/keys";
import type { LivePicture, MaskRequest, Sample, Status, WhatIf } from "../shared/types";
import { resending } from "./client";
import { useDrop } from "./drop";
import { litOf } from "./lit";
import { MOST_PICTURES, type Tried, useTried } from "./tried";

export type By = "zero" | "mean";

export interface Live extends Omit<Tried, "refresh" | "restore"> {
  calls: LiveCalls;
  status: Status | null;
  samples: Sample[];
  masked: ReadonlySet<string>;
  by: By;
  /** how far groups are masked, from 0 to 1 */
  depth: number;
  whatIf: WhatIf | null;
  busy: boolean;
  error: string | null;
  lit: Map<string, Mark> | null;
  /** whether a file is dragged over the page */
  over: boolean;
  toggle(id: string): void;
  unmask(): void;
  setBy(by: By): void;
  /** masks one more group, or unmasks it, and sets how far all masked groups are masked */
  scrub(id: string, depth: number): void;
  fail(message: string | null): void;
  /** asks again for what failed */
  retry(): void;
  /** how often the reader has asked again */
  attempt: number;
  /** whether groups are masked for which there is no answer yet, or none any more */
  unanswered: boolean;
}

/** How long to wait before the status is asked for again, in milliseconds. */
const LOOK_AGAIN = 700;
/** Sets of random neurons that a mask is compared with. */
const DRAWS = 20;

export function useLive(server: LiveCalls, { circuit, state, change }: Explorer): Live {
  const [status, setStatus] = useState<Status | null>(null);
  const [samples, setSamples] = useState<Sample[]>([]);
  const [by, setBy] = useState<By>("zero");
  const [failure, setFailure] = useState<Failure | null>(null);
  const [attempt, setAttempt] = useState(0);
  const fail = (message: string | null, again?: () => void) =>
    setFailure((before) =>
      message === null ? null : { message, again: [...(before?.again ?? []), ...(again ? [again] : [])] },
    );
  const { refresh, restore, ...tried } = useTried(server, (pictures) => change({ pictures }), fail);
  const latestRestore = useRef(restore);
  latestRestore.current = restore;
  const calls = useMemo(() => resending(server, () => latestRestore.current()), [server]);
  const { pictures, show } = tried;
  const masked = useMemo(
    () => new Set(state.masked.filter((id) => isMaskable(circuit, id))),
    [circuit, state.masked.join("\n")],
  );
  // set to their means, neurons are masked all the way
  const depth = by === "mean" ? 1 : state.depth;
  const mask = { pictures, masked, by, depth, cuts: state.cuts, attempt };
  const [answered, masking] = useMask(calls, mask, fail);
  const whatIf = answered && answersFor(answered, masked, pictures) ? answered : null;
  const lit = useMemo(() => litOf(pictures, masked), [pictures, masked]);
  useEffect(() => untilReady(calls, setStatus, setSamples, fail), [calls, attempt]);
  const asked = useRef(false);
  useEffect(() => {
    if (status?.state !== "ready" || asked.current) return;
    asked.current = true;
    for (const [place, key] of state.pictures.slice(0, MOST_PICTURES).entries()) show(key, place);
  }, [status]);
  useStoredGroups(circuit, () => {
    // groups that are gone are not masked again when an undo brings them back
    if (masked.size < state.masked.length) change({ masked: [...masked] });
    refresh().catch((problem: Error) => fail(problem.message));
  });
  const take = (file: File) => {
    // tables and figures do not show pictures
    if (state.view !== "why") change({ view: null });
    tried.take(file);
  };
  return {
    ...tried,
    calls,
    status,
    samples,
    masked,
    by,
    depth,
    whatIf,
    error: failure?.message ?? null,
    attempt,
    over: useDrop(MOST_PICTURES, take),
    unanswered: masked.size > 0 && pictures.length > 0 && !whatIf,
    retry: () => {
      setFailure(null);
      restore().then(
        () => {
          setAttempt((count) => count + 1);
          for (const again of failure?.again ?? []) again();
        },
        (problem: Error) => {
          for (const again of [undefined, ...(failure?.again ?? [])]) fail(problem.message, again);
        },
      );
    },
    lit,
    setBy,
    fail,
    busy: tried.reading > 0 || masking,
    take,
    scrub: (id, depth) => {
      const others = [...masked].filter((other) => other !== id);
      change({ masked: depth > 0 ? [...others, id] : others, depth: depth > 0 ? depth : state.depth });
    },
    toggle: (id) => {
      fail(null);
      if (masked.has(id)) change({ masked: [...masked].filter((other) => other !== id) });
      else change({ masked: [...masked, id], depth: masked.size ? state.depth : 1 });
    },
    unmask: () => change({ masked: [] }),
  };
}

/** What went wrong, and what is done when the reader tries again. */
interface Failure {
  message: string;
  again: (() => void)[];
}

/** The target itself cannot be masked. */
const isMaskable = ({ groups, columns }: Circuit, id: string): boolean =>
  (groups.get(id)?.layer ?? Infinity) < columns.length - 1;

/** Calls `onOthers` when groups were edited: pictures are read by the groups that are stored. */
function useStoredGroups({ stored }: Circuit, onOthers: () => void): void {
  const ids = [...stored].join(" ");
  const before = useRef(ids);
  useEffect(() => {
    if (before.current !== ids) onOthers();
    before.current = ids;
  }, [ids]);
}

interface Masking {
  pictures: LivePicture[];
  masked: ReadonlySet<string>;
  by: By;
  depth: number;
  cuts: Cuts;
  attempt: number;
}

/** Whether an answer is for these masks and pictures: what is shown as masked is what the answer is for. */
const answersFor = ({ change, effects }: WhatIf, masked: ReadonlySet<string>, pictures: LivePicture[]): boolean =>
  change.groups.length === masked.size &&
  change.groups.every((id) => masked.has(id)) &&
  effects.length === pictures.length &&
  effects.every(({ name }, i) => name === pictures[i]!.shown.report.name);

/** Asks for the effect of the mask first, which takes one pass, then for that of random neurons to compare with. */
function useMask(
  calls: LiveCalls,
  { pictures, masked, by, depth, cuts, attempt }: Masking,
  fail: (message: string) => void,
): [WhatIf | null, boolean] {
  const [whatIf, setWhatIf] = useState<WhatIf | null>(null);
  const [busy, setBusy] = useState(false);
  const latest = useRef<AbortController | null>(null);
  useEffect(() => {
    latest.current?.abort();
    if (!pictures.length || !masked.size) {
      setWhatIf(null);
      setBusy(false);
      return;
    }
    const running = new AbortController();
    latest.current = running;
    const request = {
      pictures: pictures.map(({ number }) => number) as MaskRequest["pictures"],
      groups: [...masked] as MaskRequest["groups"],
      by: depth < 1 ? 1 - depth : by,
      cuts,
    };
    const ask = (draws: number) => calls.mask({ ...request, draws }, running.signal).then(setWhatIf);
    setBusy(true);
    ask(0)
      .then(() => ask(DRAWS))
      .then(() => setBusy(false))
      .catch((problem: Error) => {
        if (running.signal.aborted) return;
        setWhatIf(null);
        setBusy(false);
        fail(problem.message);
      });
    return () => running.abort();
  }, [calls, pictures, masked, by, depth, attempt]); // a change of the cuts changes the masked groups, or nothing
  return [whatIf, busy];
}

/** Polls the status until the model is loaded, then asks for the samples; returns a function that stops it. */
function untilReady(
  calls: LiveCalls,
  onStatus: (status: Status) => void,
  onSamples: (samples: Sample[]) => void,
  fail: (message: string) => void,
): () => void {
  let timer: ReturnType<typeof setTimeout> | undefined;
  let stopped = false;
  const look = async () => {
    try {
      const found = await calls.status();
      if (stopped) return;
      onStatus(found);
      if (found.state === "loading") timer = setTimeout(look, LOOK_AGAIN);
      if (found.state === "ready") onSamples(await calls.samples());
    } catch (problem) {
      if (!stopped) fail((problem as Error).message);
    }
  };
  void look();
  return () => {
    stopped = true;
    clearTimeout(timer);
  };
}

/** M masks the selected group, and unmasks it. */
export function useMaskKey(live: Live, selected: string | null): void {
  useKeys((event) => {
    if (event.key.toLowerCase() === "m" && live.status?.maskable && selected) live.toggle(selected);
  });
}
