/** The shortcut audit as a list to walk through: look at a group's crops, mask it, go on to the next. */

import { useEffect, useState } from "preact/hooks";
import type { Circuit } from "../circuit/circuit";
import type { AuditReport, AuditState, GroupAudit } from "../shared/types";
import { Whisker } from "../shared/whisker";
import { Known, MaskSwitch } from "./firing";
import type { Live } from "./state";

const LISTED = 12;
const LOOK_AGAIN = 600;

interface WalkProps {
  live: Live;
  circuit: Circuit;
  selected: string | null;
  onSelect: (id: string) => void;
}

export function AuditWalk({ live, circuit, selected, onSelect }: WalkProps) {
  const [state, begin] = useAudit(live);
  const { target } = circuit.data;
  if (!live.samples.length)
    return (
      <p class="quiet lead">
        An audit ranks groups by the evidence that they are a shortcut. It needs labelled pictures that the model was
        not trained on: start with <code>neurflow explore RUN --images FOLDER</code>, a folder of class folders.
      </p>
    );
  if (state?.report)
    return <Walk report={state.report} live={live} circuit={circuit} selected={selected} onSelect={onSelect} />;
  return (
    <div class="lead">
      <p>
        Which groups look like shortcuts for <b>{target}</b>? Every group is masked on {live.samples.length} pictures of
        all classes; one that raises {target} where it should not, and is not missed where it is masked, comes first.
      </p>
      {state?.state === "running" ? (
        <p role="status">
          <progress max={state.total || undefined} value={state.total ? state.done : undefined} />{" "}
          {state.message || "beginning"}
        </p>
      ) : (
        <button class="go" disabled={live.status?.state !== "ready"} onClick={begin}>
          Audit {target}
        </button>
      )}
      {state?.state === "failed" && <p class="against">{state.message}</p>}
    </div>
  );
}

function Walk({ report, live, circuit, selected, onSelect }: WalkProps & { report: AuditReport }) {
  const groups = report.groups.slice(0, LISTED);
  const at = groups.findIndex(({ id }) => id === selected);
  const go = (place: number) => {
    const next = groups[place];
    if (next) onSelect(next.id);
  };
  return (
    <div>
      <p class="quiet lead">
        {report.of_class} pictures of {circuit.data.target}, {report.pictures - report.of_class} of other classes,{" "}
        {report.false_positives} of these taken for it. A ranking, not a verdict: look at the crops, then mask.
      </p>
      {(report.notes ?? []).map((note) => (
        <p class="trouble" key={note}>
          {note}
        </p>
      ))}
      <div class="steps">
        <button onClick={() => go(at - 1)} disabled={at <= 0}>
          ← before
        </button>
        <span class="quiet">{at < 0 ? "walk through them" : `${at + 1} of ${groups.length}`}</span>
        <button onClick={() => go(at + 1)} disabled={at >= groups.length - 1}>
          {at < 0 ? "begin →" : "next →"}
        </button>
      </div>
      <ol class="walk">
        {groups.map((each) => (
          <Step
            key={each.id}
            found={each}
            live={live}
            circuit={circuit}
            chosen={each.id === selected}
            onSelect={onSelect}
          />
        ))}
      </ol>
    </div>
  );
}

function Step({
  found,
  live,
  circuit,
  chosen,
  onSelect,
}: {
  found: GroupAudit;
  live: Live;
  circuit: Circuit;
  chosen: boolean;
  onSelect: (id: string) => void;
}) {
  const { id, rank, evidence, signals } = found;
  return (
    <li class={chosen ? "chosen" : ""}>
      <div class="walk-head">
        <button class="firing-name" aria-pressed={chosen} onClick={() => onSelect(id)} title={id}>
          <span class="number">{rank}</span>
          <Known circuit={circuit} id={id} count={4} />
          <b class="number" title="weighted sum of the signals">
            {evidence.toFixed(2)}
          </b>
        </button>
        <MaskSwitch live={live} id={id} name={circuit.groups.get(id)?.label ?? id} />
      </div>
      {chosen && (
        <dl class="signals">
          <dt>masked by</dt>
          <dd>{found.by === "zero" ? "zero" : "their mean"}</dd>
          <dt title="probability of the class that it adds on pictures of other classes">raises others</dt>
          <dd>
            <Whisker value={signals.raises} from={-0.25} to={0.5} />
          </dd>
          <dt title="right answers won by masking it less those lost, over pictures of the class or taken for it">
            mends
          </dt>
          <dd>
            <Whisker value={signals.mends} from={-1} to={1} />
          </dd>
          <dt title="share of the false positives that masking it turns">fixes</dt>
          <dd>
            <Whisker value={signals.fixes} />
          </dd>
          <dt title="share of right answers that masking it spoils">costs</dt>
          <dd>
            <Whisker value={signals.cost} kind="against" />
          </dd>
          <dt title="how alike its heat maps are from picture to picture">fixed place</dt>
          <dd>
            <Whisker value={signals.fixed} from={-0.25} to={1} />
          </dd>
          <dt title="how far its heat lies from what else speaks for the class">apart</dt>
          <dd>
            <Whisker value={signals.apart} />
          </dd>
        </dl>
      )}
    </li>
  );
}

/** How far the audit is, asked for while it runs; and how to begin it. */
function useAudit({ calls, fail }: Live): [AuditState | null, () => void] {
  const [state, setState] = useState<AuditState | null>(null);
  const problem = (error: Error) => fail(error.message);
  useEffect(() => {
    calls.audit(false).then(setState, problem);
  }, [calls]);
  useEffect(() => {
    if (state?.state !== "running") return;
    const timer = setTimeout(() => calls.audit(false).then(setState, problem), LOOK_AGAIN);
    return () => clearTimeout(timer);
  }, [calls, state]);
  return [state, () => void calls.audit(true).then(setState, problem)];
}
