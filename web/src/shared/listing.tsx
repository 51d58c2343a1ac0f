/** Lists that can be expanded, and bars for signed weights. */

import type { VNode } from "preact";
import { useState } from "preact/hooks";
import { weightsAs } from "./format";

interface ListingProps<Item> {
  all: Item[];
  /** number of items listed at first */
  count: number;
  class: string;
  /** tells lists of one kind apart */
  name?: string;
  children: (item: Item) => VNode;
}

export function Listing<Item>({ all, count, name, children, ...rest }: ListingProps<Item>) {
  const [open, setOpen] = useState(false);
  return (
    <>
      <ul {...rest} data-list={name}>
        {(open ? all : all.slice(0, count)).map(children)}
      </ul>
      {all.length > count && (
        <button class="more" aria-expanded={open} onClick={() => setOpen(!open)}>
          {open ? "Show fewer" : `Show all ${all.length.toLocaleString("en")}`}
        </button>
      )}
    </>
  );
}

interface BarProps {
  weight: number;
  largest: number;
  /** whether weights are shares */
  shares: boolean;
}

export function Bar({ weight, largest, shares }: BarProps) {
  const kind = weight < 0 ? "against" : "for";
  return (
    <span class="bar">
      <span class={`fill ${kind}`} style={{ width: `${(Math.abs(weight) / Math.max(largest, 1e-9)) * 100}%` }} />
      <span class={`number ${kind}`}>{weightsAs(shares)(weight)}</span>
    </span>
  );
}
