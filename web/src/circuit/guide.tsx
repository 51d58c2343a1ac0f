/** Five steps for those who see a circuit for the first time; it can be left at any time, and opened again. */

import { useEffect, useState } from "preact/hooks";

const KEY = "neurflow-guide";

/** Whether the guide was left before; where nothing can be remembered, as in a notebook, it is not shown. */
export function wasLeft(): boolean {
  try {
    return localStorage.getItem(KEY) !== null;
  } catch {
    return true;
  }
}

function leave(): void {
  try {
    localStorage.setItem(KEY, "left");
  } catch {
    // it opens again at the next visit
  }
}

const stepsOf = (target: string, live: boolean): [string, string][] => [
  [
    `Columns are layers, from the pixels at the left to ${target} at the right. A card is a group of neurons that respond to the same thing.`,
    ".column-head",
  ],
  [
    "Select a card: its pictures, what drives it and what it drives open at the right. Arrow keys follow the edges.",
    ".card",
  ],
  [`This row has the strongest group of each layer, with its share of the weight into ${target}.`, ".brief"],
  ["The slider under a layer's name divides it into fewer or more groups.", ".cut"],
  [
    live
      ? "Drop a picture anywhere, then open “Why this picture”: groups by their effect on it, to be masked one by one."
      : "Pin groups and open “Figure” for a slide or a paper. The address keeps all that you chose: send it on.",
    ".views nav",
  ],
];

interface GuideProps {
  target: string;
  live: boolean;
  onLeave: () => void;
}

export function Guide({ target, live, onLeave }: GuideProps) {
  const [at, setAt] = useState(0);
  const steps = stepsOf(target, live);
  const [words, place] = steps[at]!;
  useEffect(() => {
    const shown = document.querySelector(place);
    shown?.classList.add("pointed-out");
    return () => shown?.classList.remove("pointed-out");
  }, [place]);
  const end = () => {
    leave();
    onLeave();
  };
  return (
    <section class="guide" aria-label="Guide">
      <p role="status">
        <b>
          {at + 1} of {steps.length}
        </b>{" "}
        {words}
      </p>
      {at > 0 && <button onClick={() => setAt(at - 1)}>Back</button>}
      <button onClick={() => (at + 1 < steps.length ? setAt(at + 1) : end())}>
        {at + 1 < steps.length ? "Next" : "Done"}
      </button>
      {at + 1 < steps.length && <button onClick={end}>Leave the guide</button>}
    </section>
  );
}
