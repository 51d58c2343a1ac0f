/** The pictures that are tried, at most two. Each knows how it can be read again, by the same server or by a new one. */

import { useMemo, useRef, useState } from "preact/hooks";
import type { LiveCalls } from "../shared/client";
import type { LivePicture } from "../shared/types";

export const MOST_PICTURES = 2;

interface Source {
  read(): Promise<LivePicture>;
  /** how the address calls it; null: by the number that the server gives it */
  key: string | null;
}

interface Held extends Source {
  picture: LivePicture;
}

export interface Tried {
  pictures: LivePicture[];
  /** how many are being read */
  reading: number;
  /** place of the picture that is explained */
  place: number;
  look(place: number): void;
  /** shows a picture, as the address calls it, in the free place, or in this one */
  show(key: string, place?: number): void;
  /** reads a file into the free place, or instead of the last picture, and explains it */
  take(file: File): void;
  remove(place: number): void;
  keyOf(place: number): string | undefined;
  /** asks for the pictures again as they are now: groups were edited */
  refresh(): Promise<void>;
  /** reads the pictures again from where they came: a new server has none */
  restore(): Promise<void>;
}

export function useTried(
  calls: LiveCalls,
  onChange: (keys: string[]) => void,
  fail: (message: string | null, again?: () => void) => void,
): Tried {
  const [held, setHeld] = useState<Held[]>([]);
  const [reading, setReading] = useState(0);
  const [place, look] = useState(0);
  const latest = useRef(held);
  const order = useRef<Promise<unknown>>(Promise.resolve());
  const nameOf = ({ key, picture }: Held) => key ?? `p${picture.number}`;
  const keep = (all: Held[]) => {
    latest.current = all;
    setHeld(all);
    onChange(all.map(nameOf));
  };
  const add = (source: Source, wanted: number, then?: (place: number) => void) => {
    setReading((count) => count + 1);
    fail(null);
    // several may be read at a time: they take their places in the order in which they were given
    order.current = Promise.all([source.read(), order.current])
      .then(
        ([picture]) => {
          const at = Math.min(wanted, latest.current.length, MOST_PICTURES - 1);
          keep([...latest.current.slice(0, at), { ...source, picture }, ...latest.current.slice(at + 1)]);
          then?.(at);
        },
        (problem: Error) => fail(problem.message, () => add(source, wanted, then)),
      )
      .finally(() => setReading((count) => count - 1));
  };
  const readAll = async (read: (held: Held) => Promise<LivePicture>) => {
    const all = latest.current;
    const found = await Promise.all(all.map(read));
    if (latest.current === all) keep(all.map((each, i) => ({ ...each, picture: found[i]! })));
  };
  return {
    pictures: useMemo(() => held.map(({ picture }) => picture), [held]),
    reading,
    place: Math.min(place, Math.max(held.length - 1, 0)),
    look,
    show: (key, place = MOST_PICTURES) => {
      const number = Number(key.slice(1));
      add({ key, read: () => (key.startsWith("s") ? calls.sample(number) : calls.picture(number)) }, place);
    },
    take: (file) => add({ key: null, read: () => calls.upload(file) }, MOST_PICTURES, look),
    remove: (place) => keep(held.filter((_, i) => i !== place)),
    keyOf: (place) => held[place] && nameOf(held[place]),
    refresh: () => readAll(({ picture, read }) => calls.picture(picture.number).catch(read)),
    restore: () => readAll(({ read }) => read()),
  };
}
