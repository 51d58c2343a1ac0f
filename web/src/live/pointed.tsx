/** A picture with heat over it, on which the reader points at places: with the mouse, or with the arrow keys. */

import { useEffect, useRef, useState } from "preact/hooks";
import { Boxes } from "../shared/drawn";
import { HOTTEST, paintHeat, valuesOf } from "../shared/heat";
import type { GroupReading, NeuronMap, ShownPicture } from "../shared/types";

/** A place on the picture, as shares of its width and height. */
export interface Spot {
  x: number;
  y: number;
}

interface PointedProps {
  shown: ShownPicture;
  reading: GroupReading | undefined;
  /** of a neuron, shown instead of the group's heat */
  map: (NeuronMap & { width: number; height: number }) | null;
  onPoint: (spot: Spot | null) => void;
}

/** Places along each side that the arrow keys step through. */
const GRID = 14;

export function Pointed({ shown, reading, map, onPoint }: PointedProps) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const [spot, setSpot] = useState<Spot | null>(null);
  const [width, height] = shown.size;
  const heat = reading?.heat ?? [];
  const warm = map?.heat || heat.length > 0;
  useEffect(() => {
    if (!canvas.current) return;
    if (map?.heat) paintHeat(canvas.current, map.width, map.height, valuesOf(map.heat));
    else if (heat.length)
      paintHeat(
        canvas.current,
        heat[0]!.length,
        heat.length,
        heat.flat().map((value) => value / HOTTEST),
      );
  }, [reading, map?.neuron, map?.heat]);
  const point = (to: Spot | null) => {
    setSpot(to);
    onPoint(to);
  };
  const step = (event: KeyboardEvent) => {
    const way = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    if (event.key === "Escape" && spot) {
      event.stopPropagation();
      point(null);
    }
    if (!way) return;
    event.preventDefault();
    event.stopPropagation();
    const along = (from: number, by: number) => Math.min(Math.max(from + by / GRID, 0.5 / GRID), 1 - 0.5 / GRID);
    point({ x: along(spot?.x ?? 0.5, way[0]!), y: along(spot?.y ?? 0.5, way[1]!) });
  };
  const under = (event: MouseEvent) => {
    const { left, top, width, height } = (event.currentTarget as HTMLElement).getBoundingClientRect();
    point({ x: (event.clientX - left) / width, y: (event.clientY - top) / height });
  };
  return (
    <div
      class="drawn pointed"
      style={{ aspectRatio: `${width} / ${height}`, "--across": `${width / height}` }}
      role="group"
      tabIndex={0}
      aria-label={`The picture ${shown.report.name}: the arrow keys point at a place`}
      onMouseMove={under}
      onMouseLeave={() => point(null)}
      onKeyDown={step}
      onBlur={() => point(null)}
    >
      <img src={shown.picture} alt="" draggable={false} />
      {warm && <canvas ref={canvas} aria-hidden="true" />}
      <svg viewBox={`0 0 ${width} ${height}`} aria-hidden="true">
        {!map && <Boxes reading={reading} most={1} />}
        {spot && <circle class="spot" cx={spot.x * width} cy={spot.y * height} r={width / 28} />}
      </svg>
    </div>
  );
}
