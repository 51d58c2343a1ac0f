/** Groups by the evidence that they are a shortcut, each signal with its interval. */

import { GroupTitle, Whisker } from "./group";
import type { AuditReport, DebugPageData } from "./types";

const LISTED = 20;

export function AuditTable({ data, audit }: { data: DebugPageData; audit: AuditReport }) {
  return (
    <section>
      <p class="lead">
        {audit.of_class} pictures of {data.target}, {audit.pictures - audit.of_class} of other classes, {audit.false_positives} of
        these taken for it. A ranking, not a verdict: look at the crops, then mask a group to check.
      </p>
      <table class="audit">
        <thead>
          <tr>
            <th />
            <th>group</th>
            <th title="weighted sum of the signals">evidence</th>
            <th title="probability of the class that it adds on pictures of other classes">raises others</th>
            <th title="right answers that masking it wins less those it loses, over pictures of the class or taken for it">mends</th>
            <th title="share of the false positives that masking it turns">fixes</th>
            <th title="share of right answers that masking it spoils">costs</th>
            <th title="how alike its heat maps are from picture to picture">fixed place</th>
            <th title="how far its heat lies from what else speaks for the class">apart</th>
            <th title="what the signals tell of: neurons set to zero, or to their mean over the concept set">masked by</th>
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
                <b>{evidence.toFixed(2)}</b>
              </td>
              <td>
                <Whisker value={signals.raises} from={-0.25} to={0.5} />
              </td>
              <td>
                <Whisker value={signals.mends} from={-0.5} to={1} />
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
    </section>
  );
}
