/** The legend of the drawing, and the notes of the result. */

import type { ComponentChildren } from "preact";
import { useDismissed } from "../shared/dismiss";
import { plural, spread } from "../shared/format";
import type { PageData } from "../shared/types";
import { scoreError, unsure } from "./circuit";

interface LegendProps {
  data: PageData;
  /** whether the circuit itself is shown, with its edges */
  drawn: boolean;
  onGuide: () => void;
}

export function Legend({ data, drawn, onGuide }: LegendProps) {
  const help = useDismissed();
  const labelled = data.layers.some((layer) => layer.groups.some((group) => group.evidence));
  return (
    <footer>
      {drawn && (
        <>
          <span class="key">
            <Sample kind="for" /> excites
          </span>
          <span class="key">
            <Sample kind="against" /> inhibits
          </span>
          <span class="key wide">thicker: more weight</span>
          {data.edges.some(unsure) && <span class="key wide">faded: sign uncertain</span>}
          <span class="key wide">each card: a group of neurons that respond to the same thing</span>
        </>
      )}
      <button class="link guide-again" onClick={onGuide}>
        Guide
      </button>
      <details class="help" ref={help}>
        <summary>How to read this</summary>
        <dl>
          <Entry term="Columns">Layers of the network, from the input on the left to the target on the right.</Entry>
          <Entry term="Card">
            A group of neurons that respond to the same thing. The pictures are the crops that excite it most, from
            different photographs first. Below its name may be a warning: “not stable” if the group is not found again
            on other pictures, “1 photo” if all its crops come from one photograph.
          </Entry>
          {labelled && (
            <Entry term="Label">
              A description of what the crops of a group have in common. Select the card to see who gave the label, and
              how well it distinguishes crops of the group from others. A question mark means that the label does not
              beat chance, or that other labels fit equally well.
            </Entry>
          )}
          {data.shares && (
            <Entry term="Bar on a card">
              The group's weight into the target: edge weights are multiplied along each path and added up over all
              paths. A bar to the right speaks for the target, a bar to the left against it. To see what the network
              does without the group, mask it.
            </Entry>
          )}
          <Entry term="Edge">
            How strongly the left group drives the right one, by integrated gradients.{" "}
            {data.shares
              ? "Weights are shares: the absolute weights into a group add up to at most 1."
              : "With the settings of this circuit, weights are not shares: they may add up to more than 1, and can be compared only within this circuit."}
          </Entry>
          <Entry term="Sign">
            A solid line excites, a dashed line inhibits. A faded line may do either on other photographs: the 95 %
            interval of its weight contains 0.
          </Entry>
          <Entry term="For and against">
            The weight of an edge is a sum, in which positive and negative weights may cancel. If they do, the lists of
            inputs and outputs show both parts.
          </Entry>
          <Entry term="Edges shown">
            The strongest edges, until they account for the chosen share of all absolute weight.
          </Entry>
          <Entry term="Score error">
            How far a neuron's scores are estimated to be from its integrated gradients. Smaller is better.{" "}
            {data.layers.map((layer) => {
              const error = scoreError(layer);
              return error ? `${layer.name}: ${spread(error)}. ` : "";
            })}
          </Entry>
          <Entry term="Settings">
            τ = {data.tau} core neurons, k = {data.k} crops per neuron
            {data.steps === "auto" ? "" : `, N = ${data.steps} integration steps`}.
          </Entry>
          {data.layers.some(({ tree }) => tree) && (
            <Entry term="Slider of a layer">
              Divides the layer into fewer or more groups. “Not stable” means that these groups are not found again on
              other pictures. A double-click restores the stored groups.
            </Entry>
          )}
          <Entry term="Keys">
            Tab and Enter select a card. ← and → follow its strongest edge, ↑ and ↓ move within the column, Escape
            deselects. + and − zoom, 0 shows everything, Shift with an arrow pans. In the live explorer, M masks the
            selected group.
          </Entry>
        </dl>
      </details>
    </footer>
  );
}

function Sample({ kind }: { kind: "for" | "against" }) {
  return (
    <svg width="34" height="10" aria-hidden="true">
      <line class={`edge ${kind}`} x1="0" y1="5" x2="34" y2="5" stroke-width="4" />
    </svg>
  );
}

function Entry({ term, children }: { term: string; children: ComponentChildren }) {
  return (
    <>
      <dt>{term}</dt>
      <dd>{children}</dd>
    </>
  );
}

/** Notes of the discovery, and pictures that could not be read: their number until opened. */
export function Notes({ data }: { data: PageData }) {
  const notes = [...data.notes, ...data.skipped.map(([name, reason]) => `Not read: ${name} (${reason})`)];
  const list = useDismissed();
  if (!notes.length) return null;
  return (
    <details class="notes" ref={list}>
      <summary>{plural(notes.length, "note")}</summary>
      <ul>
        {notes.map((note) => (
          <li key={note}>{note}</li>
        ))}
      </ul>
    </details>
  );
}
