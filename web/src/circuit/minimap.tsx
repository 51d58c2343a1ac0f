/** The whole circuit, small, with a frame around what is in view; a press goes there. */

import type { RefObject } from "preact";
import { useMemo } from "preact/hooks";
import type { Circuit } from "./circuit";
import type { Layout, Place } from "./layout";

interface MinimapProps {
  circuit: Circuit;
  plan: Layout;
  /** of the reader: chosen, found, on a path */
  raised: Set<string>;
  /** the frame, which the camera moves */
  inView: RefObject<HTMLDivElement | null>;
  onGo: (place: Place) => void;
}

const WIDTH = 140;
const MOST_HIGH = 96;
const LEAST_HIGH = 40;

export function Minimap({ circuit, plan, raised, inView, onGo }: MinimapProps) {
  const height = Math.min(Math.max((WIDTH * plan.height) / plan.width, LEAST_HIGH), MOST_HIGH);
  const go = (event: PointerEvent) => {
    const map = event.currentTarget as HTMLDivElement;
    const { left, top, width, height } = map.getBoundingClientRect();
    onGo({ x: ((event.clientX - left) / width) * plan.width, y: ((event.clientY - top) / height) * plan.height });
  };
  const all = useMemo(() => spots(circuit, plan, () => true), [circuit, plan]);
  const standing = useMemo(() => spots(circuit, plan, (id) => raised.has(id)), [circuit, plan, raised]);
  const whole = { viewBox: `0 0 ${plan.width} ${plan.height}`, preserveAspectRatio: "none" };
  return (
    <div
      class="minimap"
      aria-hidden="true"
      style={{ width: `${WIDTH}px`, height: `${height}px` }}
      onPointerDown={(event) => {
        event.stopPropagation();
        event.currentTarget.setPointerCapture(event.pointerId);
        go(event);
      }}
      onPointerMove={(event) => {
        if (event.buttons) go(event);
      }}
      onClick={(event) => event.stopPropagation()}
    >
      <svg {...whole} aria-hidden="true">
        <path class="spots" d={all} />
        <path class="spots raised" d={standing} />
      </svg>
      {/* a layer of its own: it moves with every frame, and the cards under it need not be drawn again */}
      <div class="in-view" ref={inView} />
    </div>
  );
}

/** Cards as boxes of one path. */
const spots = (circuit: Circuit, { places, card }: Layout, which: (id: string) => boolean): string =>
  circuit.columns
    .flat()
    .filter(which)
    .map((id) => places.get(id)!)
    .map(({ x, y }) => `M${x},${y}h${card.width}v${card.height}h${-card.width}z`)
    .join("");
