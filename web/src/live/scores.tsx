/** The scores of a group on the class, on other samples, and on the pictures that are tried. */

import { useState } from "preact/hooks";
import type { Group } from "../circuit/circuit";
import { Scores } from "../circuit/scores";
import { LETTERS } from "./lit";
import type { Live } from "./state";

/** Number of other pictures that are read, and of samples that are tried to find them. */
const [ENOUGH, MOST] = [20, 40];

export interface Others {
  /** whether samples can be compared: the target consists of classes */
  possible: boolean;
  /** scores of each group on pictures that are predicted as other classes */
  scores: Map<string, number[]>;
  read: number;
  busy: boolean;
  /** reads some of the samples, spread over all of them */
  begin(): void;
}

export function useOthers({ calls, samples, status, fail }: Live): Others {
  const classes = status?.classes ?? [];
  const [scores, setScores] = useState(new Map<string, number[]>());
  const [read, setRead] = useState(0);
  const [busy, setBusy] = useState(false);
  const begin = async () => {
    setBusy(true);
    const found = new Map<string, number[]>();
    let count = 0;
    const step = Math.max(samples.length / MOST, 1);
    for (let place = 0; place < samples.length && count < ENOUGH; place += step) {
      const { report } = (await calls.sample(samples[Math.floor(place)]!.number)).shown;
      if (classes.includes(report.top[0]!.index)) continue;
      count += 1;
      for (const { id, score } of report.groups) found.set(id, [...(found.get(id) ?? []), score]);
      setScores(new Map(found));
      setRead(count);
    }
  };
  return {
    possible: classes.length > 0 && samples.length > 0,
    scores,
    read,
    busy,
    begin: () => {
      begin()
        .catch((problem: Error) => fail(problem.message))
        .finally(() => setBusy(false));
    },
  };
}

export function LiveScores({
  live,
  others,
  group,
  target,
}: {
  live: Live;
  others: Others;
  group: Group;
  target: string;
}) {
  if (!group.scores.length) return null;
  const readings = live.pictures.map(({ shown }) => shown.report.groups.find(({ id }) => id === group.id));
  const elsewhere = others.scores.get(group.id) ?? [];
  const rows = [
    { name: target, scores: group.scores },
    ...(elsewhere.length ? [{ name: "other classes", scores: elsewhere }] : []),
    ...readings.flatMap((reading, i) =>
      reading
        ? [{ name: readings.length > 1 ? `picture ${LETTERS[i]}` : "this picture", scores: [reading.score] }]
        : [],
    ),
  ];
  return (
    <Scores rows={rows} threshold={readings[0]?.threshold}>
      {others.possible && !others.read && !others.busy && (
        <button class="more" onClick={others.begin}>
          Compare with samples that are predicted as other classes
        </button>
      )}
      {others.busy && (
        <p class="quiet" role="status">
          {others.read} of {ENOUGH} samples read …
        </p>
      )}
    </Scores>
  );
}
