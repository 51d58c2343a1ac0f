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
    `Columns are layers, from the pixels on the left to ${target} on the right. A card is a group of neurons that respond to the same thing.`,
    ".column-head",
  ],
  [
    "Select a card to see its pictures, its inputs and its outputs on the right. The arrow keys follow the edges.",
    ".card",
  ],
  [`This row shows the strongest group of each layer, with its share of the weight into ${target}.`, ".brief"],
  ["The slider under a layer's name divides it into fewer or more groups.", ".cut"],
  [
    live
      ? "Drop a picture anywhere, then open “Why this picture” to see which groups affect its answer, and to mask them."
      : "Pin groups and open “Figure” to make a figure for a slide or a paper. To share what you see, send the page's address.",
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
