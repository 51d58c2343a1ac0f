/** The signals of the shortcut audit. */

import type { GroupAudit } from "./types";

export interface Signal {
  name: string;
  about: string;
  of: keyof GroupAudit["signals"];
  /** ends of its scale */
  from?: number;
  to?: number;
  kind?: "against";
}

export const SIGNALS: Signal[] = [
  {
    name: "mends",
    about:
      "right answers won by masking the group minus those lost, over the pictures of the class and those mistaken for it",
    of: "mends",
    from: -1,
  },
  {
    name: "raises",
    about: "probability of the class that the group adds on pictures of other classes",
    of: "raises",
    from: -0.25,
    to: 0.5,
  },
  { name: "fixes", about: "share of the false positives that are no longer classified as the class", of: "fixes" },
  { name: "costs", about: "share of the right answers that become wrong", of: "cost", kind: "against" },
  {
    name: "fixed place",
    about: "correlation of its heat maps between pictures: does it always respond to the same place?",
    of: "fixed",
    from: -0.25,
  },
  {
    name: "apart",
    about: "distance of its heat from that of the other groups for the class: 0 the same place, 1 opposite",
    of: "apart",
  },
];

const MASKED_BY = {
  name: "masked by",
  about: "what its neurons are set to: zero, or their mean over the concept set, whichever gives more evidence",
};

export const Definitions = () => (
  <dl class="legend">
    {[...SIGNALS, MASKED_BY].map(({ name, about }) => (
      <div key={name}>
        <dt>{name}</dt>
        <dd>{about}</dd>
      </div>
    ))}
  </dl>
);
