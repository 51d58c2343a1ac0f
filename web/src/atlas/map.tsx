/** The map: classes as points, or as pictures where few are in view; lines join the selected class to similar ones. */

import { useMemo, useRef, useState } from "preact/hooks";
import { useZoom, type View } from "../shared/camera";
import type { AtlasPageData } from "../shared/types";
import { ZoomButtons } from "../shared/zoom_buttons";
import { names, pictureSide, spots } from "./find";

interface MapProps {
  data: AtlasPageData;
  chosen: number | null;
  /** classes that match the query; null without a query */
  found: Set<number> | null;
  onChoose: (place: number | null) => void;
}

const DOT = 4.5;
const STEP = 1.4;
const SCALES: [number, number] = [0.6, 40];
/** Number of similar classes that a selected class is joined to. */
const LINKED = 5;

export function ClassMap({ data, chosen, found, onChoose }: MapProps) {
  const { classes } = data;
  const frame = useRef<SVGSVGElement>(null);
  const [size, setSize] = useState({ width: 800, height: 600 });
  const [view, setView] = useState<View>({ k: 1, x: 0, y: 0 });
  const [hovered, setHovered] = useState<number | null>(null);
  const camera = useZoom(frame, SCALES, { onMove: setView, onSize: setSize });

  const seen = spots(classes, size.width, size.height, view);
  const at = new Map(seen.map((spot) => [spot.place, spot]));
  const side = pictureSide(seen);
  const half = side ? side / 2 : DOT;
  const focus = hovered ?? chosen;
  const near = useMemo(() => (focus === null ? [] : classes[focus]!.nearest.slice(0, LINKED)), [classes, focus]);
  const first = focus === null ? [...(found ?? [])] : [focus, ...near.map(([place]) => place)];
  const dim = (place: number) => (found ? !found.has(place) : focus !== null && !first.includes(place));
  const raised = [...seen].sort((a, b) => Number(dim(b.place)) - Number(dim(a.place)));
  const from = focus === null ? undefined : at.get(focus);

  return (
    <div class="class-map">
      <svg
        ref={frame}
        role="img"
        aria-label={`Map of ${classes.length} classes; the list has them all`}
        onClick={() => onChoose(null)}
      >
        {from &&
          near.map(([place, likeness]) => {
            const to = at.get(place);
            return (
              to && (
                <line
                  key={place}
                  class="likeness"
                  x1={from.x}
                  y1={from.y}
                  x2={to.x}
                  y2={to.y}
                  stroke-width={1 + 7 * likeness}
                />
              )
            );
          })}
        {raised.map(({ place, x, y }) => {
          const picture = side ? faceOf(data, place) : undefined;
          return (
            <g
              key={place}
              class={`class-point${dim(place) ? " dim" : ""}${place === chosen ? " chosen" : ""}`}
              data-class={classes[place]!.circuit}
              transform={`translate(${x.toFixed(1)} ${y.toFixed(1)})`}
              onClick={(event) => {
                event.stopPropagation();
                onChoose(place);
              }}
              onPointerEnter={() => setHovered(place)}
              onPointerLeave={() => setHovered(null)}
            >
              <title>{classes[place]!.target}</title>
              {picture ? (
                <>
                  <image
                    href={picture}
                    x={-half}
                    y={-half}
                    width={side}
                    height={side}
                    preserveAspectRatio="xMidYMid slice"
                  />
                  <rect x={-half} y={-half} width={side} height={side} rx={4} />
                </>
              ) : (
                <circle r={place === chosen ? DOT * 1.6 : DOT} />
              )}
            </g>
          );
        })}
        {names(seen, classes, first, half).map(({ place, x, y, text }) => (
          <text key={place} class={`class-name${dim(place) ? " dim" : ""}`} x={x} y={y}>
            {text}
          </text>
        ))}
      </svg>
      <ZoomButtons what="map" step={STEP} zoomBy={camera.zoomBy} fit={() => camera.show({ k: 1, x: 0, y: 0 })} />
    </div>
  );
}

/** Returns the crop with the largest activation of the target. */
export function faceOf({ classes, pictures }: AtlasPageData, place: number): string | undefined {
  const { own, portrait, shown } = classes[place]!;
  const groups = [own, ...portrait.map(([group]) => group)];
  const first = groups
    .map((group) => (group ? shown[group]?.pictures[0] : undefined))
    .find((picture) => picture !== undefined);
  return first === undefined ? undefined : pictures[first];
}
