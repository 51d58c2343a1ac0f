/** A picture with the heat of a group and its best crops drawn over it. */

import { useEffect, useRef } from "preact/hooks";
import { HOTTEST, paintHeat } from "./heat";
import type { GroupReading, ShownPicture } from "./types";

export function Drawn({ shown, reading }: { shown: ShownPicture; reading: GroupReading | undefined }) {
  const [width, height] = shown.size;
  const canvas = useRef<HTMLCanvasElement>(null);
  const heat = reading?.heat ?? [];
  useEffect(() => {
    if (canvas.current && heat.length)
      paintHeat(
        canvas.current,
        heat[0]!.length,
        heat.length,
        heat.flat().map((value) => value / HOTTEST),
      );
  }, [reading]);
  return (
    <div class="drawn" style={{ aspectRatio: `${width} / ${height}` }}>
      <img src={shown.picture} alt={shown.report.name} />
      {heat.length > 0 && <canvas ref={canvas} aria-hidden="true" />}
      {/* the best crops of a silent group show nothing that it stands for */}
      <svg viewBox={`0 0 ${width} ${height}`} aria-hidden="true">
        <Boxes reading={reading} />
      </svg>
    </div>
  );
}

/** Frames round the best crops of a group that fires, at most so many. */
export function Boxes({ reading, most = Infinity }: { reading: GroupReading | undefined; most?: number }) {
  const crops = reading?.fires ? reading.crops.slice(0, most) : [];
  return (
    <>
      {crops.map(([[left, top, right, bottom]], i) => (
        <rect
          key={i}
          class={`box box-${i}`}
          x={left}
          y={top}
          width={right - left}
          height={bottom - top}
          vector-effect="non-scaling-stroke"
        />
      ))}
    </>
  );
}
