/** A group's card: its strongest crops, its name, its size, and what of it reaches the target. */

import { Component } from "preact";
import type { Circuit, Group } from "./circuit";
import { CropPicture } from "./crop";
import { doubtful, doubtOf } from "./label";
import { plural, signed, titleOf } from "./format";
import type { Lit } from "./live/lit";
import type { Card as Shape, Place } from "./layout";
import { box } from "./style";

interface CardProps {
  group: Group;
  circuit: Circuit;
  shape: Shape;
  place: Place;
  selected: boolean;
  /** above the veil */
  raised: boolean;
  /** a plain box: anything on it would be a speck */
  bare: boolean;
  /** what it does on the pictures that are tried */
  lit: Lit | undefined;
  onSelect: (id: string) => void;
  onHover: (id: string | null) => void;
  /** reached by keyboard */
  onReach: (id: string) => void;
}

/** A card that is drawn again only if something on it has changed: hovering touches few of many. */
export class Card extends Component<CardProps> {
  override shouldComponentUpdate(next: CardProps): boolean {
    return (Object.keys(next) as (keyof CardProps)[]).some((name) => next[name] !== this.props[name]);
  }

  override render(props: CardProps) {
    return <Face {...props} />;
  }
}

function Face({ group, circuit, shape, place, selected, raised, bare, lit, onSelect, onHover, onReach }: CardProps) {
  const { data } = circuit;
  const name = titleOf(group, data);
  const reach = data.shares ? `, ${signed(group.reach)} along all paths to ${data.target}` : "";
  const about = `${group.id}: ${plural(group.members.length, "member")}${reach}${doubtOf(group)}`;
  return (
    <button
      class={`card${selected ? " selected" : ""}${raised ? " raised" : ""}${litClass(lit)}`}
      style={{ ...box({ left: place.x, top: place.y, width: shape.width, height: shape.height }), "--lit": `${lit?.strength ?? 0}` }}
      data-group={group.id}
      aria-pressed={selected}
      aria-label={`Group ${name}, ${about}${litWords(lit)}`}
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
      {!bare && <Content group={group} circuit={circuit} crops={shape.crops} name={name} />}
      {lit && (lit.masked || lit.fires) && <span class="lit-mark" aria-hidden="true">{lit.masked ? "masked" : lit.fires}</span>}
    </button>
  );
}

interface ContentProps {
  group: Group;
  circuit: Circuit;
  /** pictures in the mosaic */
  crops: number;
  name: string;
}

function Content({ group, circuit: { data }, crops, name }: ContentProps) {
  return (
    <>
      <span class="mosaic" aria-hidden="true">
        {group.crops.slice(0, crops).map((crop) => (
          <CropPicture key={crop} data={data} crop={crop} />
        ))}
      </span>
      <span class={`card-name${doubtful(group) ? " doubtful" : ""}`}>{name}</span>
      <span class="card-size">{group.members.length}</span>
      {data.shares && <Reach value={group.reach} />}
    </>
  );
}

const litClass = (lit: Lit | undefined) => (!lit ? "" : lit.masked ? " masked" : lit.fires ? " lit" : " unlit");
const litWords = (lit: Lit | undefined) => (!lit ? "" : lit.masked ? ", masked" : lit.fires ? `, fires on ${lit.fires}` : ", silent here");

/** A bar from the middle: right for the target, left against it. */
function Reach({ value }: { value: number }) {
  const length = Math.min(Math.abs(value), 1) * 50;
  const left = value < 0 ? 50 - length : 50;
  return (
    <span class="reach" aria-hidden="true">
      <span class={value < 0 ? "against" : "for"} style={{ left: `${left}%`, width: `${length}%` }} />
    </span>
  );
}
