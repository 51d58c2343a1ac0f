/** What the drawing means, and what should be known about this result. */

import type { ComponentChildren } from "preact";
import { useDismissed } from "./dismiss";
import { plural } from "./format";
import type { PageData } from "./types";

export function Legend({ data }: { data: PageData }) {
  const help = useDismissed();
  return (
    <footer>
      <span class="key">
        <Sample kind="for" /> excites
      </span>
      <span class="key">
        <Sample kind="against" /> inhibits
      </span>
      <span class="key wide">thicker: more weight</span>
      <span class="key wide">each card: a group of neurons that fire for the same thing</span>
      <details class="help" ref={help}>
        <summary>How to read this</summary>
        <dl>
          <Entry term="Columns">Layers of the network, from the input on the left to the target on the right.</Entry>
          <Entry term="Card">
            A group of neurons with a common meaning. The pictures are the crops that excite it most; the number counts its
            members, each one meaning of one neuron.
          </Entry>
          {data.layers.some((layer) => layer.groups.some((group) => group.evidence)) && (
            <Entry term="Label">
              A claim about what a group's crops share. Whoever chooses a card sees who made it and how well a judge, told the
              label alone, finds crops that the labeler did not see. A label with a question mark
              does not beat chance, or other labels do as well.
            </Entry>
          )}
          {data.shares && (
            <Entry term="Bar on a card">
              Edge weights multiplied along each path to the target, and added up over all paths: right of the middle for the
              target, left against it. It follows from the weights; what the network does without the group is another
              question.
            </Entry>
          )}
          <Entry term="Edge">
            How much the left group drives the right one, by integrated gradients.{" "}
            {data.shares
              ? "Weights are shares: in absolute value, those into a group add up to 1 at most."
              : "Weights compare within this circuit only: as it was set up, they are not shares and may add up to more than 1."}
          </Entry>
          <Entry term="Sign">A solid line excites, a dashed one inhibits.</Entry>
          <Entry term="Slider">Edges from the strongest down, until they carry that share of all absolute weight.</Entry>
          <Entry term="IG error">
            How far the attributions of a neuron are from adding up to its change from the zero baseline: small is good.
          </Entry>
          <Entry term="Keys">
            Tab and Enter choose a card, ← and → follow its strongest edge, ↑ and ↓ walk the column, Escape lets go. + and −
            zoom, 0 shows all, Shift with an arrow pans. Live, M masks the chosen group.
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

/** Notes of the discovery and pictures that could not be read: in sight, one line until opened. */
export function Notes({ data }: { data: PageData }) {
  const notes = [...data.notes, ...data.skipped.map(([name, reason]) => `Not read: ${name} (${reason})`)];
  if (!notes.length) return null;
  return (
    <details class="notes">
      <summary>
        <b>{plural(notes.length, "note")}</b> <span>{notes[0]}</span>
      </summary>
      <ul>
        {notes.map((note) => (
          <li key={note}>{note}</li>
        ))}
      </ul>
    </details>
  );
}
