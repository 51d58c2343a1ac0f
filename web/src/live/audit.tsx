/** The shortcut audit as a list: select a group, look at its crops, mask it, go to the next. */

import { useEffect, useState } from "preact/hooks";
import type { Circuit } from "../circuit/circuit";
import { fixed, plural } from "../shared/format";
import { Definitions, SIGNALS } from "../shared/signals";
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
        not trained on. Start with <code>neurflow explore RUN --images FOLDER</code>, a folder of class folders.
      </p>
    );
  if (state?.report)
    return <Walk report={state.report} live={live} circuit={circuit} selected={selected} onSelect={onSelect} />;
  return (
    <div class="lead">
      <p>
        Which groups look like shortcuts for <b>{target}</b>? The audit masks every group on {live.samples.length}{" "}
        pictures of all classes. Groups that raise {target} on other classes, and that {target} does not need, come
        first.
      </p>
      {state?.state === "running" ? (
        <p role="status">
          <progress max={state.total || undefined} value={state.total ? state.done : undefined} />{" "}
          {state.message || "starting"}
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
        {plural(report.of_class, "picture")} of {circuit.data.target}, {report.pictures - report.of_class} of other
        classes, {report.false_positives} of which are mistaken for it. This is a ranking, not a verdict: look at the
        crops, then mask the group.
      </p>
      {(report.notes ?? []).map((note) => (
        <p class="trouble" key={note}>
          {note}
        </p>
      ))}
      <div class="steps">
        <button onClick={() => go(at - 1)} disabled={at <= 0}>
          ← previous
        </button>
        <span class="quiet">{at < 0 ? "Go through the groups" : `${at + 1} of ${groups.length}`}</span>
        <button onClick={() => go(at + 1)} disabled={at >= groups.length - 1}>
          {at < 0 ? "start →" : "next →"}
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
      <details>
        <summary>What the signals mean</summary>
        <Definitions />
      </details>
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
            {fixed(evidence, 2)}
          </b>
        </button>
        <MaskSwitch live={live} id={id} name={circuit.groups.get(id)?.label ?? id} />
      </div>
      {chosen && (
        <dl class="signals">
          <dt>masked by</dt>
          <dd>{found.by === "zero" ? "zero" : "their mean"}</dd>
          {SIGNALS.map(({ name, about, of, ...scale }) => (
            <>
              <dt title={about}>{name}</dt>
              <dd>
                <Whisker value={signals[of]} {...scale} />
              </dd>
            </>
          ))}
        </dl>
      )}
    </li>
  );
}

/** The state of the audit, polled while it runs, and a function that starts it. */
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
