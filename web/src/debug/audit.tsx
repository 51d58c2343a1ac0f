/** Groups ranked by the evidence that they are a shortcut, each signal with its interval. */

import { fixed, plural } from "../shared/format";
import type { AuditReport, DebugPageData } from "../shared/types";
import { Whisker } from "../shared/whisker";
import { GroupTitle } from "./group_title";

const LISTED = 20;
const SIGNALS = {
  mends:
    "right answers won by masking the group minus those lost, over the pictures of the class and those mistaken for it",
  raises: "probability of the class that the group adds on pictures of other classes",
  fixes: "share of the false positives that are no longer classified as the class",
  costs: "share of the right answers that become wrong",
  "fixed place": "correlation of its heat maps between pictures: does it always respond to the same place?",
  apart: "distance of its heat from that of the other groups for the class: 0 the same place, 1 opposite",
  "masked by": "what its neurons are set to: zero, or their mean over the concept set, whichever gives more evidence",
};

export function AuditTable({ data, audit }: { data: DebugPageData; audit: AuditReport }) {
  return (
    <section aria-label="Audit">
      <p class="in-short">{inShort(data, audit)}</p>
      <p class="lead">
        {plural(audit.of_class, "picture")} of {data.target}, {audit.pictures - audit.of_class} of other classes,{" "}
        {audit.false_positives} of which are mistaken for it. This is a ranking, not a verdict: look at the crops, then
        mask a group to check.
      </p>
      <div class="wide" role="region" aria-label="Groups by evidence" tabIndex={0}>
        <table class="audit">
          <thead>
            <tr>
              <th>rank</th>
              <th>group</th>
              <th>evidence</th>
              <th>mends</th>
              <th>raises</th>
              <th>fixes</th>
              <th>costs</th>
              <th>fixed place</th>
              <th>apart</th>
              <th>masked by</th>
            </tr>
          </thead>
          <tbody>
            {audit.groups.slice(0, LISTED).map(({ id, rank, evidence, by, signals }) => (
              <tr key={id}>
                <td class="number">{rank}</td>
                <td>
                  <GroupTitle data={data} id={id} count={6} />
                </td>
                <td class="number">
                  <b>{fixed(evidence, 2)}</b>
                </td>
                <td>
                  <Whisker value={signals.mends} from={-0.5} to={1} />
                </td>
                <td>
                  <Whisker value={signals.raises} from={-0.25} to={0.5} />
                </td>
                <td>
                  <Whisker value={signals.fixes} />
                </td>
                <td>
                  <Whisker value={signals.cost} kind="against" />
                </td>
                <td>
                  <Whisker value={signals.fixed} from={-0.25} to={1} />
                </td>
                <td>
                  <Whisker value={signals.apart} />
                </td>
                <td class="quiet">{by}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      <dl class="legend">
        {Object.entries(SIGNALS).map(([name, meaning]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>{meaning}</dd>
          </div>
        ))}
      </dl>
    </section>
  );
}

/** What the signals say, before the table: the groups whose masking wins more than it loses, beyond chance. */
function inShort({ target, groups }: DebugPageData, audit: AuditReport): string {
  const harmful = audit.groups.filter(({ signals }) => signals.mends[1] > 0).map(({ id }) => groups[id]?.label ?? id);
  if (!harmful.length) return `No group does more harm than good to ${target} on these pictures, beyond chance.`;
  const named = `${harmful.slice(0, 3).join(", ")}${harmful.length > 3 ? ` and ${harmful.length - 3} more` : ""}`;
  return `Masking ${named} wins more right answers than it loses, beyond chance: look there first for a shortcut.`;
}
