/** A group's card: its crops, its name, its size, and its weight into the target. */

import { Component } from "preact";
import { box } from "../shared/box";
import { plural, signedPercent, weightsAs } from "../shared/format";
import { Middle } from "../shared/middle";
import type { Circuit, Group } from "./circuit";
import { CropPicture, fewPhotographs } from "./crop";
import { SHAKY } from "./cuts";
import { doubtful, doubtOf } from "./label";
import type { Place, Card as Shape } from "./layout";
import { headingOf } from "./names";

/** How a card is marked by what stands beside the circuit, such as pictures that are tried. */
export interface Mark {
  fires: boolean;
  /** on which of two pictures it fires: "", "A", "B" or "AB" */
  letters: string;
  /** 0 to 1: the best score relative to the group's own crops */
  strength: number;
  masked: boolean;
}

interface CardProps {
  group: Group;
  circuit: Circuit;
  shape: Shape;
  place: Place;
  selected: boolean;
  /** the one card that Tab leads to */
  entry: boolean;
  /** above the veil */
  raised: boolean;
  /** a plain box: its contents would be specks */
  bare: boolean;
  mark: Mark | undefined;
  onSelect: (id: string) => void;
  onHover: (id: string | null) => void;
  /** the keyboard has reached the card */
  onReach: (id: string) => void;
}

/** Draws itself again only if a prop has changed: hovering changes few cards of many. */
export class Card extends Component<CardProps> {
  override shouldComponentUpdate(next: CardProps): boolean {
    return (Object.keys(next) as (keyof CardProps)[]).some((name) => next[name] !== this.props[name]);
  }

  override render(props: CardProps) {
    return <Face {...props} />;
  }
}

function Face({
  group,
  circuit,
  shape,
  place,
  selected,
  entry,
  raised,
  bare,
  mark,
  onSelect,
  onHover,
  onReach,
}: CardProps) {
  const { data } = circuit;
  const name = headingOf(group, data);
  const neurons = new Set(group.members.map(([neuron]) => neuron)).size;
  const weight =
    data.shares && group.layer < data.layers.length - 1
      ? `, ${signedPercent(group.pathWeight)} of the weight into ${data.target}`
      : "";
  const doubts = [fewPhotographs(group, data), shaky(group)].filter((each) => each !== null);
  const about = `${group.id}: ${plural(neurons, "neuron")}${weight}${doubtOf(group)}${doubts.map((each) => `, ${each.text}`).join("")}`;
  return (
    <button
      class={`card${selected ? " selected" : ""}${raised ? " raised" : ""}${markClass(mark)}`}
      style={{
        ...box({ left: place.x, top: place.y, width: shape.width, height: shape.height }),
        "--lit": `${mark?.strength ?? 0}`,
      }}
      data-group={group.id}
      tabIndex={entry ? 0 : -1}
      aria-pressed={selected}
      title={group.label ? `${group.label}\n${about}` : about}
      onClick={(event) => {
        event.stopPropagation();
        onSelect(group.id);
      }}
      onMouseEnter={() => onHover(group.id)}
      onMouseLeave={() => onHover(null)}
      onFocus={(event) => {
        onHover(group.id);
        if (event.currentTarget.matches(":focus-visible")) onReach(group.id);
      }}
      onBlur={() => onHover(null)}
    >
      <span class="spoken">{`${name}, ${about}${markWords(mark)}${drivers(group, circuit)}`}</span>
      {!bare && (
        <Content
          group={group}
          circuit={circuit}
          crops={shape.crops}
          name={name}
          doubts={doubts.map(({ short }) => short)}
        />
      )}
      {mark && (mark.masked || mark.letters) && (
        <span class="lit-mark" aria-hidden="true">
          {mark.masked ? "masked" : mark.letters}
        </span>
      )}
    </button>
  );
}

const DRIVERS = 3;

/** The strongest inputs of a group, as screen readers say them. */
function drivers({ inputs }: Group, { groups, data }: Circuit): string {
  const write = weightsAs(data.shares);
  const named = inputs
    .slice(0, DRIVERS)
    .map(({ lower, weight }) => `${headingOf(groups.get(lower)!, data)} ${write(weight)}`);
  return named.length ? `. Driven by ${named.join(", ")}` : "";
}

/** What is said of a group that does not come back on other pictures. */
export const shaky = ({ returns }: { returns: number | null }): { short: string; text: string } | null =>
  returns !== null && returns < SHAKY ? { short: "not stable", text: "is not found again on other pictures" } : null;

interface ContentProps {
  group: Group;
  circuit: Circuit;
  /** pictures in the mosaic */
  crops: number;
  name: string;
  /** what speaks against trusting the group */
  doubts: string[];
}

function Content({ group, circuit: { data }, crops, name, doubts }: ContentProps) {
  const numbered = /^Group \d+$/.test(name);
  const neurons = new Set(group.members.map(([neuron]) => neuron)).size;
  return (
    <>
      <span class="mosaic" aria-hidden="true">
        {group.crops.slice(0, crops).map((crop) => (
          <CropPicture key={crop} data={data} crop={crop} />
        ))}
      </span>
      <span class={`card-name${doubtful(group) ? " doubtful" : ""}`} aria-hidden="true">
        <Middle text={name} />
      </span>
      {(doubts.length > 0 || numbered) && (
        <span class={`card-size${doubts.length ? " badges" : ""}`} aria-hidden="true">
          {doubts.length ? doubts.join(", ") : plural(neurons, "neuron")}
        </span>
      )}
      {data.shares && <WeightBar value={group.pathWeight} />}
    </>
  );
}

const markClass = (mark: Mark | undefined): string => {
  if (!mark) return "";
  if (mark.masked) return " masked";
  return mark.fires ? " lit" : " unlit";
};
const markWords = (mark: Mark | undefined): string => {
  if (!mark) return "";
  if (mark.masked) return ", masked";
  return mark.fires ? `, active${mark.letters && ` on ${mark.letters}`}` : ", silent here";
};

/** A bar from the middle: to the right for the target, to the left against it. */
function WeightBar({ value }: { value: number }) {
  const length = Math.min(Math.abs(value), 1) * 50;
  const left = value < 0 ? 50 - length : 50;
  return (
    <span class="path-weight" aria-hidden="true">
      <span class={value < 0 ? "against" : "for"} style={{ left: `${left}%`, width: `${length}%` }} />
    </span>
  );
}
