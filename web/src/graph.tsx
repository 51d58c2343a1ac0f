/** The circuit: layers as columns from pixels to target, groups as cards, edges by weight and sign. */

import { useCallback, useEffect, useMemo, useRef, useState } from "preact/hooks";
import { Card } from "./card";
import { best, completeness, type Circuit } from "./circuit";
import { Edges } from "./edges";
import { plural, spread } from "./format";
import type { Lit } from "./live/lit";
import { layout, type Layout } from "./layout";
import type { EdgeData, LayerData } from "./types";
import { useCamera } from "./view";
import { holds, isLarge } from "./window";

interface GraphProps {
  circuit: Circuit;
  shown: EdgeData[];
  selected: string | null;
  found: Set<string> | null;
  /** what a picture lights up, and what is masked */
  lit: Map<string, Lit> | null;
  onSelect: (id: string | null) => void;
}

export function Graph({ circuit, shown, selected, found, lit, onSelect }: GraphProps) {
  const plan = useMemo(() => layout(circuit, { width: innerWidth, height: innerHeight - 160 }), [circuit]);
  const [hovered, setHovered] = useState<string | null>(null);
  const { frame, drawing, heads, fit, zoomBy, reveal, drawn } = useCamera(plan, selected);
  const focus = hovered ?? selected;
  const near = useMemo(() => neighbours(circuit, focus), [circuit, focus]);
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
      <div class="drawing" ref={drawing}>
        <Edges circuit={circuit} plan={plan} shown={shown} focus={focus} drawn={drawn} />
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
            faded={found ? !found.has(id) : focus !== null && !near.has(id)}
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
      <div class="zoom" onClick={(event) => event.stopPropagation()}>
        <button onClick={() => zoomBy(1.3)} aria-label="Zoom in" title="Zoom in">+</button>
        <button onClick={() => zoomBy(1 / 1.3)} aria-label="Zoom out" title="Zoom out">−</button>
        <button onClick={fit} aria-label="Fit the whole circuit" title="Fit the whole circuit">⤢</button>
      </div>
    </div>
  );
}

function Head({ layer, plan, number }: { layer: LayerData; plan: Layout; number: number }) {
  const error = completeness(layer);
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
        <span title="Completeness error of the integrated gradients: how far a neuron's attributions are from adding up to its change from the zero baseline. Mean and worst of the layer's neurons.">
          IG error {spread(error)}
        </span>
      )}
    </div>
  );
}

function neighbours(circuit: Circuit, id: string | null): Set<string> {
  const group = id ? circuit.groups.get(id) : undefined;
  const ids = [...(group?.inputs ?? []), ...(group?.outputs ?? [])].flatMap((e) => [e.upper, e.lower]);
  return new Set(id ? [id, ...ids] : ids);
}
