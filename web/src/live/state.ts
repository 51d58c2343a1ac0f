/** What is being tried: pictures, masked groups, and what the server says to them. */

import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import type { Circuit } from "../circuit";
import type { LiveCalls } from "../client";
import { litOf, type Lit } from "./lit";
import type { LivePicture, MaskRequest, Sample, Status, WhatIf } from "./types";

export type By = NonNullable<MaskRequest["by"]>;

export interface Live {
  calls: LiveCalls;
  status: Status | null;
  samples: Sample[];
  pictures: LivePicture[];
  masked: ReadonlySet<string>;
  by: By;
  whatIf: WhatIf | null;
  busy: boolean;
  error: string | null;
  lit: Map<string, Lit> | null;
  /** shows a picture in place of the one there, or beside the first */
  show(picture: Promise<LivePicture>, place: number): void;
  remove(place: number): void;
  toggle(id: string): void;
  unmask(): void;
  setBy(by: By): void;
  fail(message: string | null): void;
}

const LOOK_AGAIN = 700;
const DRAWS = 20;

export function useLive(calls: LiveCalls | null, circuit: Circuit): Live | null {
  const [status, setStatus] = useState<Status | null>(null);
  const [samples, setSamples] = useState<Sample[]>([]);
  const [pictures, setPictures] = useState<LivePicture[]>([]);
  const [masked, setMasked] = useState<ReadonlySet<string>>(new Set());
  const [by, setBy] = useState<By>("zero");
  const [reading, setReading] = useState(0);
  const [error, fail] = useState<string | null>(null);
  const [whatIf, masking] = useMask(calls, pictures, masked, by, fail);
  const lit = useMemo(() => litOf(pictures, masked), [pictures, masked]);

  useEffect(() => {
    if (calls) return untilReady(calls, setStatus, setSamples, fail);
  }, [calls]);

  useGroups(circuit, () => {
    setMasked((all) => new Set([...all].filter((id) => circuit.groups.has(id))));
    Promise.all(pictures.map(({ number }) => calls!.picture(number))).then(setPictures, (problem: Error) => fail(problem.message));
  });

  if (!calls) return null;
  const show = (picture: Promise<LivePicture>, place: number) => {
    setReading((count) => count + 1);
    fail(null);
    picture
      .then(
        (found) => setPictures((all) => [...all.slice(0, place), found, ...all.slice(place + 1)]),
        (problem: Error) => fail(problem.message),
      )
      .finally(() => setReading((count) => count - 1));
  };
  return {
    calls, status, samples, pictures, masked, by, whatIf, error, lit, show, setBy, fail,
    busy: reading > 0 || masking,
    remove: (place) => setPictures((all) => all.filter((_, i) => i !== place)),
    toggle: (id) => {
      fail(null);
      setMasked((all) => new Set(all.has(id) ? [...all].filter((other) => other !== id) : [...all, id]));
    },
    unmask: () => setMasked(new Set()),
  };
}

/** Hears of it when the circuit has other groups than before. */
function useGroups(circuit: Circuit, onOthers: () => void): void {
  const ids = useMemo(() => [...circuit.groups.keys()].join(" "), [circuit]);
  const before = useRef(ids);
  useEffect(() => {
    if (before.current !== ids) onOthers();
    before.current = ids;
  }, [ids]);
}

/** The change first, which takes one pass; then the random neurons that it is held against. */
function useMask(
  calls: LiveCalls | null,
  pictures: LivePicture[],
  masked: ReadonlySet<string>,
  by: By,
  fail: (message: string) => void,
): [WhatIf | null, boolean] {
  const [whatIf, setWhatIf] = useState<WhatIf | null>(null);
  const [busy, setBusy] = useState(false);
  const latest = useRef<AbortController | null>(null);
  useEffect(() => {
    latest.current?.abort();
    if (!calls || !pictures.length || !masked.size) {
      setWhatIf(null);
      setBusy(false);
      return;
    }
    const running = (latest.current = new AbortController());
    const request = {
      pictures: pictures.map(({ number }) => number) as MaskRequest["pictures"],
      groups: [...masked] as MaskRequest["groups"],
      by,
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
  }, [calls, pictures, masked, by]);
  return [whatIf, busy];
}

/** Asks until the model is there, then for the pictures to try; returns how to stop asking. */
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

/** M masks the chosen group, and brings it back. */
export function useMaskKey(live: Live | null, selected: string | null): void {
  const latest = useRef({ live, selected });
  latest.current = { live, selected };
  useEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      const typing = (event.target as HTMLElement).matches?.("input, select, textarea");
      if (event.key.toLowerCase() !== "m" || typing || event.ctrlKey || event.metaKey || event.altKey) return;
      const { live, selected } = latest.current;
      if (live?.status?.maskable && selected) live.toggle(selected);
    };
    addEventListener("keydown", onKey);
    return () => removeEventListener("keydown", onKey);
  }, []);
}
