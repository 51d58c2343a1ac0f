/** Groups ranked by the evidence that they are a shortcut, each signal with its interval. */

import { fixed, plural } from "../shared/format";
import { Definitions, SIGNALS } from "../shared/signals";
import type { AuditReport, DebugPageData } from "../shared/types";
import { Whisker } from "../shared/whisker";
import { GroupTitle } from "./group_title";

const LISTED = 20;
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
              {SIGNALS.map(({ name }) => (
                <th key={name}>{name}</th>
              ))}
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
                {SIGNALS.map(({ name, of, ...scale }) => (
                  <td key={name}>
                    <Whisker value={signals[of]} {...scale} />
                  </td>
                ))}
                <td class="quiet">{by}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      <Definitions />
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
