/** The whole pictures that a group's crops come from, with the crops framed and the group's heat. */

import { useEffect, useRef, useState } from "preact/hooks";
import { paintHeat, valuesOf } from "../shared/heat";
import type { SightData } from "../shared/types";
import type { Circuit, Group } from "./circuit";

export function Sights({ circuit, group }: { circuit: Circuit; group: Group }) {
  const [heat, setHeat] = useState(true);
  if (!group.sights.length) return null;
  const warm = group.sights.some((sight) => sight.heat);
  return (
    <section aria-label="In the whole pictures">
      <h3>
        In the whole pictures <small>crops framed{warm ? ", bright where its neurons respond" : ""}</small>
      </h3>
      {warm && (
        <label class="switch">
          <input type="checkbox" checked={heat} onChange={(event) => setHeat(event.currentTarget.checked)} /> heat map
        </label>
      )}
      <div class="sights">
        {group.sights.map((sight) => (
          <Sight key={sight.image} circuit={circuit} sight={sight} heat={heat} />
        ))}
      </div>
    </section>
  );
}

export function Sight({ circuit: { data }, sight, heat }: { circuit: Circuit; sight: SightData; heat: boolean }) {
  const [height, width] = data.side;
  const canvas = useRef<HTMLCanvasElement>(null);
  useEffect(() => {
    if (!canvas.current || !sight.heat) return;
    const [height, width, bytes] = sight.heat;
    paintHeat(canvas.current, width, height, valuesOf(bytes));
  }, [sight.heat, heat]);
  const name = data.images[sight.image]!;
  return (
    <figure class="sight" style={{ aspectRatio: `${width} / ${height}` }} title={name}>
      <img src={data.pictures[sight.picture]} alt={name} loading="lazy" decoding="async" />
      {heat && sight.heat && <canvas ref={canvas} aria-hidden="true" />}
      <svg viewBox={`0 0 ${width} ${height}`} aria-hidden="true">
        {sight.boxes.map(([left, top, right, bottom], i) => (
          <rect
            key={i}
            x={left}
            y={top}
            width={right - left}
            height={bottom - top}
            vector-effect="non-scaling-stroke"
          />
        ))}
      </svg>
    </figure>
  );
}
