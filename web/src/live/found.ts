/** What the server finds for a query: other classes of the network, and groups whose crops look like the words. */

import { useEffect, useState } from "preact/hooks";
import type { Circuit } from "../circuit/circuit";
import type { Result } from "../circuit/find";
import { headingOf } from "../circuit/names";
import { fixed } from "../shared/format";
import type { Findings } from "../shared/types";
import type { Live } from "./state";

/** How long a reader pauses before the server is asked, in milliseconds. */
const PAUSE = 250;

/** Results for a query besides those of the page; none until the server has answered. */
export function useFound({ calls, status }: Live, circuit: Circuit, query: string): Result[] {
  const [found, setFound] = useState<Findings | null>(null);
  const words = query.trim().slice(0, 200);
  const ready = status?.state === "ready";
  useEffect(() => {
    setFound(null);
    if (!ready || !/\p{L}/u.test(words)) return;
    const running = new AbortController();
    // a search that fails leaves the results of the page
    const timer = setTimeout(() => calls.find(words, running.signal).then(setFound, () => {}), PAUSE);
    return () => {
      clearTimeout(timer);
      running.abort();
    };
  }, [calls, ready, words]);
  return found ? resultsOf(found, circuit) : [];
}

export function resultsOf({ classes, groups }: Findings, circuit: Circuit): Result[] {
  const { data } = circuit;
  return [
    ...classes
      .filter(({ name }) => name !== data.target)
      .map(
        ({ index, name }): Result => ({
          kind: "class",
          title: name,
          about: "compare a picture's answer with it",
          group: null,
          rival: index,
          groups: [],
        }),
      ),
    ...groups.flatMap(({ id, contrast }): Result[] => {
      const group = circuit.groups.get(id);
      if (!group) return [];
      const about = `${id} · crops look like it (${fixed(contrast, 1)} σ)`;
      return [{ kind: "group", title: headingOf(group, data), about, group: id, groups: [id] }];
    }),
  ];
}
