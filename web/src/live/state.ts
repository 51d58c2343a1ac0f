/** What is being tried: pictures, masked groups, and the server's answers to them. */

import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import type { Mark } from "../circuit/card";
import type { Circuit } from "../circuit/circuit";
import type { Cuts } from "../circuit/cuts";
import type { Explorer } from "../circuit/explorer";
import type { LiveCalls } from "../shared/client";
import { useKeys } from "../shared/keys";
import type { LivePicture, MaskRequest, Sample, Status, WhatIf } from "../shared/types";
import { litOf } from "./lit";

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
  lit: Map<string, Mark> | null;
  /** shows a picture at a place, instead of the one that is there */
  show(picture: Promise<LivePicture>, place: number): void;
  /** reads a file into the free place, or instead of the last picture */
  take(file: File): void;
  remove(place: number): void;
  toggle(id: string): void;
  unmask(): void;
  setBy(by: By): void;
  fail(message: string | null): void;
}

/** How long to wait before the status is asked for again, in milliseconds. */
const LOOK_AGAIN = 700;
/** Sets of random neurons that a mask is compared with. */
const DRAWS = 20;
export const MOST_PICTURES = 2;

export function useLive(calls: LiveCalls, { circuit, state, change }: Explorer): Live {
  const [status, setStatus] = useState<Status | null>(null);
  const [samples, setSamples] = useState<Sample[]>([]);
  const [pictures, setPictures] = useState<LivePicture[]>([]);
  const [by, setBy] = useState<By>("zero");
  const [reading, setReading] = useState(0);
  const [error, fail] = useState<string | null>(null);
  const masked = useMemo(
    () => new Set(state.masked.filter((id) => isMaskable(circuit, id))),
    [circuit, state.masked.join("\n")],
  );
  const [whatIf, masking] = useMask(calls, { pictures, masked, by, cuts: state.cuts }, fail);
  const lit = useMemo(() => litOf(pictures, masked), [pictures, masked]);
  useEffect(() => untilReady(calls, setStatus, setSamples, fail), [calls]);
  useStoredGroups(circuit, () => {
    Promise.all(pictures.map(({ number }) => calls.picture(number))).then(setPictures, (problem: Error) =>
      fail(problem.message),
    );
  });

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
    calls,
    status,
    samples,
    pictures,
    masked,
    by,
    whatIf,
    error,
    lit,
    show,
    setBy,
    fail,
    busy: reading > 0 || masking,
    take: (file) => show(calls.upload(file), Math.min(pictures.length, MOST_PICTURES - 1)),
    remove: (place) => setPictures((all) => all.filter((_, i) => i !== place)),
    toggle: (id) => {
      fail(null);
      change({ masked: masked.has(id) ? [...masked].filter((other) => other !== id) : [...masked, id] });
    },
    unmask: () => change({ masked: [] }),
  };
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
  cuts: Cuts;
}

/** Asks for the effect of the mask first, which takes one pass, then for that of random neurons to compare with. */
function useMask(
  calls: LiveCalls,
  { pictures, masked, by, cuts }: Masking,
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
      by,
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
  }, [calls, pictures, masked, by]); // a change of the cuts changes the masked groups, or nothing
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
