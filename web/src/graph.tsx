/** The circuit: layers as columns from pixels to class, groups as cards, edges by weight and sign. */

import { select } from "d3-selection";
import { zoom, zoomIdentity, type ZoomBehavior } from "d3-zoom";
import { useEffect, useMemo, useRef } from "preact/hooks";
import { completeness, type Circuit, type Group } from "./circuit";
import { CropPicture } from "./crop";
import { nameOf, percent, plural, signed, titleOf } from "./format";
import { CARD, curve, layout, thickness } from "./layout";
import type { EdgeData } from "./types";

interface GraphProps {
  circuit: Circuit;
  shown: EdgeData[];
  selected: string | null;
  hovered: string | null;
  found: Set<string> | null;
  onSelect: (id: string | null) => void;
  onHover: (id: string | null) => void;
}

export function Graph(props: GraphProps) {
  const { circuit, selected, hovered, found } = props;
  const plan = useMemo(() => layout(circuit), [circuit]);
  const { frame, drawing, fit, zoomBy } = useZoom(plan.width, plan.height);
  const focus = hovered ?? selected;
  const near = useMemo(() => neighbours(circuit, focus), [circuit, focus]);

  return (
    <div class="graph" ref={frame} onClick={() => props.onSelect(null)}>
      <div class="drawing" ref={drawing} style={box({ width: plan.width, height: plan.height })}>
        <Edges {...props} places={plan.places} focus={focus} size={plan} />
        {circuit.data.layers.map((layer, number) => {
          const error = completeness(layer);
          return (
            <div class="column-head" key={layer.name} style={box({ left: plan.columns[number]!, width: CARD.width })}>
              <b title={layer.name}>{layer.name}</b>
              <span>
                {plural(Object.keys(layer.neurons).length, "neuron")}
                {error && (
                  <span title="Worst error of completeness: how far the attributions of a neuron are from adding up to its change">
                    {" "}
                    · IG within {percent(error.worst)}
                  </span>
                )}
              </span>
            </div>
          );
        })}
        {circuit.columns.flat().map((id) => (
          <Card
            key={id}
            group={circuit.groups.get(id)!}
            circuit={circuit}
            place={plan.places.get(id)!}
            selected={id === selected}
            faded={found ? !found.has(id) : focus !== null && !near.has(id)}
            onSelect={props.onSelect}
            onHover={props.onHover}
          />
        ))}
      </div>
      <div class="zoom" onClick={(event) => event.stopPropagation()}>
        <button onClick={() => zoomBy(1.3)} aria-label="Zoom in">+</button>
        <button onClick={() => zoomBy(1 / 1.3)} aria-label="Zoom out">−</button>
        <button onClick={fit} aria-label="Fit the whole circuit">⤢</button>
      </div>
    </div>
  );
}

/** Lengths in pixels as a style. */
const box = (lengths: Record<string, number>) =>
  Object.fromEntries(Object.entries(lengths).map(([name, value]) => [name, `${value}px`]));

function neighbours(circuit: Circuit, id: string | null): Set<string> {
  const group = id ? circuit.groups.get(id) : undefined;
  const ids = [...(group?.inputs ?? []), ...(group?.outputs ?? [])].flatMap((e) => [e.upper, e.lower]);
  return new Set(id ? [id, ...ids] : ids);
}

interface CardProps {
  group: Group;
  circuit: Circuit;
  place: { x: number; y: number };
  selected: boolean;
  faded: boolean;
  onSelect: (id: string | null) => void;
  onHover: (id: string | null) => void;
}

function Card({ group, circuit, place, selected, faded, onSelect, onHover }: CardProps) {
  const about = `${group.id}: ${plural(group.members.length, "member")}, ${signed(group.reach)} reaches the target`;
  return (
    <button
      class={`card${selected ? " selected" : ""}${faded ? " faded" : ""}`}
      style={box({ left: place.x, top: place.y, width: CARD.width, height: CARD.height })}
      data-group={group.id}
      aria-pressed={selected}
      aria-label={`Group ${nameOf(group)}, ${about}`}
      title={about}
      onClick={(event) => {
        event.stopPropagation();
        onSelect(group.id);
      }}
      onMouseEnter={() => onHover(group.id)}
      onMouseLeave={() => onHover(null)}
      onFocus={() => onHover(group.id)}
      onBlur={() => onHover(null)}
    >
      <span class="mosaic" aria-hidden="true">
        {group.crops.slice(0, 4).map((crop) => (
          <CropPicture key={crop} data={circuit.data} crop={crop} />
        ))}
      </span>
      <span class="card-name">{titleOf(group, circuit.data)}</span>
      <span class="card-size">{group.members.length}</span>
      <Reach value={group.reach} />
    </button>
  );
}

/** How much of the target a group accounts for, as a bar from the middle: right for, left against. */
function Reach({ value }: { value: number }) {
  const length = Math.min(Math.abs(value), 1) * 50;
  const left = value < 0 ? 50 - length : 50;
  return (
    <span class="reach" aria-hidden="true">
      <span class={value < 0 ? "against" : "for"} style={{ left: `${left}%`, width: `${length}%` }} />
    </span>
  );
}

interface EdgesProps extends GraphProps {
  places: Map<string, { x: number; y: number }>;
  focus: string | null;
  size: { width: number; height: number };
}

function Edges({ circuit, shown, focus, places, size }: EdgesProps) {
  const largest = useMemo(
    () => Math.max(...circuit.data.edges.map((edge) => Math.abs(edge.weight)), 1e-9),
    [circuit],
  );
  // the edges of the group in focus are drawn whatever the threshold, and last, on top
  const near = focus ? circuit.groups.get(focus) : undefined;
  const own = near ? new Set([...near.inputs, ...near.outputs]) : new Set<EdgeData>();
  const rest = shown.filter((edge) => !own.has(edge));
  const draw = (edge: EdgeData, kind: string) => (
    <path
      key={`${edge.lower}>${edge.upper}`}
      class={`edge ${edge.weight < 0 ? "against" : "for"} ${kind}`}
      d={curve(places.get(edge.lower)!, places.get(edge.upper)!)}
      stroke-width={thickness(edge.weight, largest)}
      data-weight={edge.weight}
    >
      <title>{`${edge.lower} → ${edge.upper}: ${signed(edge.weight)}`}</title>
    </path>
  );
  return (
    <svg class="edges" width={size.width} height={size.height} aria-hidden="true">
      {rest.map((edge) => draw(edge, focus ? "faded" : ""))}
      {[...own].reverse().map((edge) => draw(edge, "own"))}
    </svg>
  );
}

function useZoom(width: number, height: number) {
  const frame = useRef<HTMLDivElement>(null);
  const drawing = useRef<HTMLDivElement>(null);
  const behaviour = useRef<ZoomBehavior<HTMLDivElement, unknown> | undefined>(undefined);

  const fit = () => {
    const view = frame.current;
    if (!view || !behaviour.current) return;
    // never so small that a card cannot be read: then the class stays in view, and one pans
    const [across, down] = [view.clientWidth - 48, view.clientHeight - 32];
    const scale = Math.min(1.15, Math.max(0.5, Math.min(across / width, down / height)));
    const left = width * scale <= across ? (across - width * scale) / 2 + 24 : across + 24 - width * scale;
    const top = height * scale <= down ? (down - height * scale) / 2 + 16 : 16;
    select(view).call(behaviour.current.transform, zoomIdentity.translate(left, top).scale(scale));
  };

  useEffect(() => {
    const box = frame.current!;
    behaviour.current = zoom<HTMLDivElement, unknown>()
      .scaleExtent([0.15, 3])
      .on("zoom", ({ transform }) => {
        drawing.current!.style.transform = `translate(${transform.x}px,${transform.y}px) scale(${transform.k})`;
      });
    select(box).call(behaviour.current).on("dblclick.zoom", null);
    fit();
    const observer = new ResizeObserver(fit);
    observer.observe(box);
    return () => observer.disconnect();
  }, [width, height]);

  const zoomBy = (factor: number) => {
    if (frame.current && behaviour.current) select(frame.current).call(behaviour.current.scaleBy, factor);
  };
  return { frame, drawing, fit, zoomBy };
}

