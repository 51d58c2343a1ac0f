/** A panel beside the main view that can be resized with its edge, and folded to a rail. */

import type { ComponentChildren } from "preact";
import { useRef, useState } from "preact/hooks";

interface PaneProps {
  /** heading of the rail, and what screen readers call the edge */
  name: string;
  side: "left" | "right";
  /** at first, in pixels */
  width: number;
  children: ComponentChildren;
}

const LEAST = 240;
/** of the window's width */
const MOST = 0.6;
const STEP = 24;

export function Pane({ name, side, width: first, children }: PaneProps) {
  const [width, setWidth] = useState(first);
  const [folded, fold] = useState(false);
  const start = useRef<{ x: number; width: number } | null>(null);
  const outwards = side === "left" ? 1 : -1;
  const most = () => Math.max(MOST * innerWidth, LEAST);
  const resize = (to: number) => setWidth(Math.round(Math.min(Math.max(to, LEAST), most())));
  if (folded)
    return (
      <div class={`pane folded ${side}`}>
        <button onClick={() => fold(false)} aria-expanded={false} title={`Show ${name.toLowerCase()}`}>
          <span>{name}</span>
        </button>
      </div>
    );
  return (
    <div class={`pane ${side}`} style={{ "--width": `${width}px` }}>
      {children}
      <button
        class="fold"
        onClick={() => fold(true)}
        aria-label={`Fold ${name.toLowerCase()}`}
        title={`Fold ${name.toLowerCase()}`}
      >
        {side === "left" ? "«" : "»"}
      </button>
      <div
        class="edge-of-pane"
        role="separator"
        tabIndex={0}
        aria-orientation="vertical"
        aria-label={`Width of ${name.toLowerCase()}`}
        aria-valuenow={width}
        aria-valuemin={LEAST}
        aria-valuemax={Math.round(most())}
        title="Drag to resize; double-click to reset"
        onPointerDown={(event) => {
          event.currentTarget.setPointerCapture(event.pointerId);
          start.current = { x: event.clientX, width };
        }}
        onPointerMove={(event) => {
          if (start.current) resize(start.current.width + outwards * (event.clientX - start.current.x));
        }}
        onPointerUp={() => {
          start.current = null;
        }}
        onDblClick={() => setWidth(first)}
        onKeyDown={(event) => {
          const way = { ArrowLeft: -STEP, ArrowRight: STEP }[event.key];
          if (way === undefined) return;
          event.preventDefault();
          resize(width + outwards * way);
        }}
      />
    </div>
  );
}
