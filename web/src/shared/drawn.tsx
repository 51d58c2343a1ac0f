/** A picture with the heat of a group and its best crops drawn over it. */

import { useEffect, useRef } from "preact/hooks";
import type { GroupReading, ShownPicture } from "./types";

/** Heat of this much and more is drawn fully: the peak of a map is well above its mean. */
const HOTTEST = 3;

export function Drawn({ shown, reading }: { shown: ShownPicture; reading: GroupReading | undefined }) {
  const [width, height] = shown.size;
  const canvas = useRef<HTMLCanvasElement>(null);
  const heat = reading?.heat ?? [];
  useEffect(() => {
    if (canvas.current && heat.length) paint(canvas.current, heat);
  }, [reading]);
  return (
    <div class="drawn" style={{ aspectRatio: `${width} / ${height}` }}>
      <img src={shown.picture} alt={shown.report.name} />
      {heat.length > 0 && <canvas ref={canvas} width={heat[0]!.length} height={heat.length} aria-hidden="true" />}
      <svg viewBox={`0 0 ${width} ${height}`} aria-hidden="true">
        {reading?.crops.map(([[left, top, right, bottom]], i) => (
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
      </svg>
    </div>
  );
}

function paint(canvas: HTMLCanvasElement, heat: number[][]) {
  const context = canvas.getContext("2d")!;
  const image = context.createImageData(heat[0]!.length, heat.length);
  heat.flat().forEach((value, i) => {
    image.data.set([255, 90, 0, Math.min(value / HOTTEST, 1) ** 1.5 * 200], i * 4);
  });
  context.putImageData(image, 0, 0);
}
