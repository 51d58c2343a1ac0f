/** A figure on the whole screen, group by group: for a talk. */

import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { type Figure, figureSvg } from "./figure_svg";

interface StageProps {
  figure: Figure;
  crops: Map<number, string>;
  onClose: () => void;
}

export function Stage({ figure, crops, onClose }: StageProps) {
  const dialog = useRef<HTMLDialogElement>(null);
  const [at, setAt] = useState(0);
  // from the target first: each step adds what drives what is there
  const ids = useMemo(
    () => [...figure.drawn.columns].reverse().flatMap((column) => column.map(({ id }) => id)),
    [figure.drawn],
  );
  const lit = at < ids.length ? new Set(ids.slice(0, at + 1)) : null;
  const { svg } = useMemo(() => figureSvg({ ...figure, lit }, crops), [figure, at, crops]);
  useEffect(() => dialog.current!.showModal(), []);
  const go = (step: number) => setAt(Math.min(Math.max(at + step, 0), ids.length));
  return (
    <dialog
      class={`stage ${figure.look}`}
      ref={dialog}
      aria-label="Step through the figure"
      onClose={onClose}
      onKeyDown={(event) => {
        if (["ArrowRight", "PageDown", " "].includes(event.key)) go(1);
        else if (["ArrowLeft", "PageUp"].includes(event.key)) go(-1);
        else return;
        event.preventDefault();
      }}
    >
      <img src={`data:image/svg+xml;charset=utf-8,${encodeURIComponent(svg)}`} alt={figure.title} />
      <p>
        <button onClick={() => go(-1)} disabled={at === 0}>
          ← Back
        </button>
        <span role="status">
          {Math.min(at + 1, ids.length)} of {ids.length} groups
        </span>
        <button onClick={() => go(1)} disabled={at === ids.length}>
          Next →
        </button>
        <button onClick={() => dialog.current!.close()}>Close</button>
      </p>
    </dialog>
  );
}
