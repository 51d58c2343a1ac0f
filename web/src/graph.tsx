/** The circuit: layers as columns from pixels to target, groups as cards, edges by weight and sign. */

import { useCallback, useEffect, useMemo, useRef, useState } from "preact/hooks";
import { Card } from "./card";
import { best, scoreError, type Circuit } from "./circuit";
import { Edges } from "./edges";
import { plural, spread } from "./format";
import type { Lit } from "./live/lit";
import { layout, type Layout } from "./layout";
import type { EdgeData, LayerData } from "./types";
import { Minimap } from "./minimap";
import { stations, type Path } from "./path";
import { Save } from "./save";
import type { Place as At } from "./state";
import { useCamera, type Camera } from "./view";
import { holds, isLarge } from "./window";

/** One step of zoom, and of panning as a share of the view. */
const ZOOM = 1.3;
const PAN = 0.25;

interface GraphProps {
  circuit: Circuit;
  shown: EdgeData[];
  selected: string | null;
  found: Set<string> | null;
  /** what a picture lights up, and what is masked */
  lit: Map<string, Lit> | null;
  /** from the chosen group on, if one is shown */
  path: Path | null;
  at: At | null;
  onRest: (at: At | null) => void;
  onSelect: (id: string | null) => void;
}

export function Graph({ circuit, shown, selected, found, lit, path, at, onRest, onSelect }: GraphProps) {
  const plan = useMemo(() => layout(circuit, { width: innerWidth, height: innerHeight - 160 }), [circuit]);
  const [hovered, setHovered] = useState<string | null>(null);
  const camera = useCamera(plan, selected, at, onRest);
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

  // one function for good, so that a card is drawn again only for what shows on it
  const latest = useRef(onSelect);
  latest.current = onSelect;
  const choose = useCallback((id: string) => latest.current(id), []);
  const ids = useMemo(() => {
    const all = circuit.columns.flat();
    if (!isLarge(plan)) return all;
    // what is chosen stays, so that the keyboard's place is not lost
    return all.filter((id) => id === selected || (drawn && holds(drawn, plan.places.get(id)!, plan.card)));
  }, [circuit, plan, drawn, selected]);

  return (
    <div class="graph" ref={frame} onClick={() => onSelect(null)}>
      <div class="drawing" data-bare={drawn?.bare ?? false} ref={drawing}>
        <Edges circuit={circuit} plan={plan} shown={shown} raised={raised.edges} drawn={drawn} />
        {(found || focus) && <div class="veil" />}
        {ids.map((id) => (
          <Card
            key={id}
            group={circuit.groups.get(id)!}
            circuit={circuit}
            shape={plan.card}
            place={plan.places.get(id)!}
            selected={id === selected}
            lit={lit?.get(id)}
            bare={drawn?.bare ?? false}
            raised={found ? found.has(id) : raised.ids.has(id)}
            onSelect={choose}
            onHover={setHovered}
            onReach={reveal}
          />
        ))}
      </div>
      <div class="heads" ref={heads}>
        {circuit.data.layers.map((layer, number) => (
          <Head key={layer.name} layer={layer} plan={plan} number={number} />
        ))}
      </div>
      <Minimap circuit={circuit} plan={plan} raised={found ?? raised.ids} inView={camera.inView} onGo={camera.go} />
      <div class="zoom" onClick={(event) => event.stopPropagation()}>
        <button onClick={() => camera.zoomBy(ZOOM)} aria-label="Zoom in" title="Zoom in (+)">+</button>
        <button onClick={() => camera.zoomBy(1 / ZOOM)} aria-label="Zoom out" title="Zoom out (−)">−</button>
        <button onClick={camera.fit} aria-label="Fit the whole circuit" title="Fit the whole circuit (0)">⤢</button>
        <Save scene={{ circuit, plan, shown, raised: focus ? raised : null }} part={camera.part} />
      </div>
    </div>
  );
}

/** Plus and minus zoom, 0 shows all, Shift and an arrow pans. */
function useViewKeys({ zoomBy, panBy, fit }: Camera) {
  useEffect(() => {
    const ways: Record<string, [number, number]> = {
      ArrowLeft: [-PAN, 0], ArrowRight: [PAN, 0], ArrowUp: [0, -PAN], ArrowDown: [0, PAN],
    };
    const onKey = (event: KeyboardEvent) => {
      if ((event.target as HTMLElement).matches?.("input, select, textarea") || event.ctrlKey || event.metaKey || event.altKey) return;
      const way = event.shiftKey ? ways[event.key] : undefined;
      if (way) panBy(...way);
      else if (event.key === "+" || event.key === "=") zoomBy(ZOOM);
      else if (event.key === "-") zoomBy(1 / ZOOM);
      else if (event.key === "0") fit();
      else return;
      event.preventDefault();
    };
    addEventListener("keydown", onKey);
    return () => removeEventListener("keydown", onKey);
  }, [zoomBy, panBy, fit]);
}

function Head({ layer, plan, number }: { layer: LayerData; plan: Layout; number: number }) {
  const error = scoreError(layer);
  const middle = plan.columns[number]! + plan.card.width / 2;
  const pitch = plan.card.width + plan.gap;
  return (
    <div
      class="column-head"
      style={{
        left: `calc(var(--x) * 1px + var(--k) * ${middle - pitch / 2}px)`,
        width: `calc(var(--k) * ${pitch}px)`,
      }}
    >
      <b title={layer.name}>{layer.name}</b>
      <span>
        {plural(Object.keys(layer.neurons).length, "neuron")}, {plural(layer.groups.length, "group")}
      </span>
      {error && (
        <span title="Score error: how far a neuron's scores are estimated to be from integrated gradients, relative to their sum. Mean and worst of the layer's neurons.">
          IG error {spread(error)}
        </span>
      )}
    </div>
  );
}

/** A group, what feeds it and what it feeds. */
function around(circuit: Circuit, id: string | null): { ids: Set<string>; edges: EdgeData[] } {
  const group = id ? circuit.groups.get(id) : undefined;
  const edges = group ? [...group.inputs, ...group.outputs] : [];
  return { ids: new Set([...(id ? [id] : []), ...edges.flatMap((e) => [e.upper, e.lower])]), edges };
}
