/** The circuit: layers as columns from pixels to target, groups as cards, edges by weight and sign. */

import { useCallback, useEffect, useMemo, useRef, useState } from "preact/hooks";
import { useKeys } from "../shared/keys";
import type { EdgeData } from "../shared/types";
import { ZoomButtons } from "../shared/zoom_buttons";
import { Canvas } from "./canvas";
import { Card, type Mark } from "./card";
import { best, type Circuit } from "./circuit";
import { Edges } from "./edges";
import { useGradual } from "./gradual";
import { Head } from "./head";
import { cardAt, layout } from "./layout";
import { Minimap } from "./minimap";
import { type Path, stations } from "./path";
import { Save } from "./save";
import type { Place as At } from "./state";
import { type Camera, useCamera } from "./view";
import { holds, isLarge, viewOf } from "./window";

/** One step of zoom, and of panning as a share of the view. */
const ZOOM = 1.3;
const PAN = 0.25;

interface GraphProps {
  circuit: Circuit;
  shown: EdgeData[];
  selected: string | null;
  found: Set<string> | null;
  marks: Map<string, Mark> | null;
  /** the path that is shown, from the selected group on */
  path: Path | null;
  at: At | null;
  onRest: (at: At | null) => void;
  onSelect: (id: string | null) => void;
  onCut: (layer: string, count: number | null) => void;
}

export function Graph({ circuit, shown, selected, found, marks, path, at, onRest, onSelect, onCut }: GraphProps) {
  const plan = useMemo(() => layout(circuit, { width: innerWidth, height: innerHeight - 155 }), [circuit]);
  const [hovered, setHovered] = useState<string | null>(null);
  const camera = useCamera(plan, selected, path && selected ? stations(path, selected) : null, at, onRest);
  const { frame, drawing, heads, reveal, drawn } = camera;
  const focus = hovered ?? selected;
  const raised = useMemo(() => {
    if (path && selected && !hovered) return { ids: new Set(stations(path, selected)), edges: path.edges };
    return around(circuit, focus);
  }, [circuit, focus, path, selected, hovered]);
  useViewKeys(camera);
  const match = useMemo(() => found && best(circuit, found), [circuit, found]);
  useEffect(() => {
    if (match) reveal(match);
  }, [match]);

  // the same function at every drawing: cards are drawn again only where something on them changes
  const latest = useRef(onSelect);
  latest.current = onSelect;
  const choose = useCallback((id: string) => latest.current(id), []);
  // one card takes part in the order of Tab, the target at first; arrow keys go on from there
  const entry = selected ?? circuit.columns.at(-1)![0]!;
  const standing = found ?? raised.ids;
  const wanted = useMemo(() => {
    const all = [...circuit.columns].reverse().flat(); // screen readers begin at the target
    if (!isLarge(plan)) return all;
    const isDrawn = (id: string) =>
      drawn && holds(drawn, plan.places.get(id)!, plan.card) && (!drawn.bare || standing.has(id) || marks?.has(id));
    // the card that Tab leads to stays, so that the keyboard keeps its place
    return all.filter((id) => id === entry || isDrawn(id));
  }, [circuit, plan, drawn, entry, drawn?.bare && standing, marks]);
  const atOnce = (id: string) =>
    !drawn || standing.has(id) || id === entry || holds(viewOf(drawn), plan.places.get(id)!, plan.card);
  const ids = useGradual(wanted, atOnce);
  const painted = (event: MouseEvent) => (drawn?.bare ? cardAt(plan, camera.placeOf(event)) : null);

  return (
    <div
      class="graph"
      ref={frame}
      onClick={(event) => onSelect(painted(event))}
      onMouseMove={(event) => drawn?.bare && !event.buttons && setHovered(painted(event))}
    >
      {isLarge(plan) && <Canvas circuit={circuit} plan={plan} shown={shown} drawn={drawn} frame={camera.sheet} />}
      <div class="drawing" data-large={isLarge(plan)} data-bare={drawn?.bare ?? false} ref={drawing}>
        <Edges circuit={circuit} plan={plan} shown={shown} raised={raised.edges} />
        {(found || focus) && <div class="veil" />}
        {ids.map((id) => (
          <Card
            key={id}
            group={circuit.groups.get(id)!}
            circuit={circuit}
            shape={plan.card}
            place={plan.places.get(id)!}
            selected={id === selected}
            entry={id === entry}
            mark={marks?.get(id)}
            bare={drawn?.bare ?? false}
            raised={standing.has(id)}
            onSelect={choose}
            onHover={setHovered}
            onReach={reveal}
          />
        ))}
      </div>
      <div class="heads">
        <div ref={heads}>
          {circuit.data.layers.map((layer, number) => (
            <Head key={layer.name} layer={layer} plan={plan} number={number} onCut={onCut} />
          ))}
        </div>
      </div>
      <Minimap circuit={circuit} plan={plan} raised={standing} inView={camera.inView} onGo={camera.go} />
      <ZoomButtons what="circuit" step={ZOOM} zoomBy={camera.zoomBy} fit={camera.fit}>
        <Save scene={{ circuit, plan, shown, raised: focus ? raised : null }} part={camera.part} />
      </ZoomButtons>
    </div>
  );
}

/** + and - zoom, 0 shows all, Shift with an arrow pans. */
function useViewKeys({ zoomBy, panBy, fit: showAll }: Camera) {
  const ways: Record<string, [number, number]> = {
    ArrowLeft: [-PAN, 0],
    ArrowRight: [PAN, 0],
    ArrowUp: [0, -PAN],
    ArrowDown: [0, PAN],
  };
  useKeys((event) => {
    const way = event.shiftKey ? ways[event.key] : undefined;
    if (way) panBy(...way);
    else if (event.key === "+" || event.key === "=") zoomBy(ZOOM);
    else if (event.key === "-") zoomBy(1 / ZOOM);
    else if (event.key === "0") showAll();
    else return;
    event.preventDefault();
  });
}

/** A group, the groups that feed it, the groups that it feeds, and the edges between them. */
function around(circuit: Circuit, id: string | null): { ids: Set<string>; edges: EdgeData[] } {
  const group = id ? circuit.groups.get(id) : undefined;
  const edges = group ? [...group.inputs, ...group.outputs] : [];
  return { ids: new Set([...(id ? [id] : []), ...edges.flatMap((e) => [e.upper, e.lower])]), edges };
}
