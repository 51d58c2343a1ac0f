/** The panel beside the circuit: the pictures that are tried, what fires on them, edits, and the audit. */

import { useEffect, useState } from "preact/hooks";
import type { Circuit } from "../circuit/circuit";
import { Add } from "./add";
import { AuditWalk } from "./audit";
import { EditHistory, useEdits } from "./edits";
import { FiringList } from "./firing";
import { PictureCard } from "./picture";
import type { Live } from "./state";
import { GroupTools } from "./tools";

interface DockProps {
  live: Live;
  circuit: Circuit;
  selected: string | null;
  onSelect: (id: string | null) => void;
  /** labels or groups have changed */
  onChanged: () => void;
}

export function Dock({ live, circuit, selected, onSelect, onChanged }: DockProps) {
  const [tab, setTab] = useState<"fires" | "audit">("fires");
  const [open, setOpen] = useState(true);
  const editing = useEdits(live, (id) => {
    onChanged();
    onSelect(id);
  });
  const turn = (to: typeof tab) => {
    setTab(to);
    setOpen(true);
  };
  return (
    <aside class={`dock${open ? "" : " shut"}`} aria-label="Pictures and masks">
      <Tried live={live} circuit={circuit} selected={selected} />
      <nav class="tabs">
        <button aria-pressed={open && tab === "fires"} onClick={() => turn("fires")}>
          What fires
        </button>
        <button aria-pressed={open && tab === "audit"} onClick={() => turn("audit")}>
          Shortcuts
        </button>
        <button
          class="shutter"
          onClick={() => setOpen(!open)}
          aria-expanded={open}
          aria-label={open ? "Hide" : "Show"}
          title={open ? "Hide" : "Show"}
        >
          {open ? "−" : "+"}
        </button>
      </nav>
      <div class="dock-body">
        <EditHistory editing={editing} />
        {selected && (
          <GroupTools
            key={selected}
            live={live}
            circuit={circuit}
            id={selected}
            editing={editing}
            onChanged={onChanged}
          />
        )}
        {tab === "fires" ? (
          <FiringList live={live} circuit={circuit} selected={selected} onSelect={onSelect} />
        ) : (
          <AuditWalk live={live} circuit={circuit} selected={selected} onSelect={onSelect} />
        )}
      </div>
    </aside>
  );
}

function Tried({ live, circuit, selected }: { live: Live; circuit: Circuit; selected: string | null }) {
  const { status, pictures } = live;
  return (
    <div class="tried-zone">
      {status?.state === "loading" && (
        <p class="quiet" role="status">
          Loading the model … You can explore the circuit meanwhile.
        </p>
      )}
      {status?.message && (
        <p class="trouble" role="alert">
          {status.message}
        </p>
      )}
      {status?.state === "ready" && !status.maskable && (
        <p class="quiet">
          Groups cannot be masked here, because the target of this circuit is a neuron: masks show effects on classes.
        </p>
      )}
      <div class={`pictures${pictures.length > 1 ? " two" : ""}`}>
        {pictures.map((picture, i) => (
          <PictureCard key={picture.number} live={live} place={i} selected={selected} circuit={circuit} />
        ))}
      </div>
      {status?.state !== "failed" && <Add key={pictures.length} live={live} />}
      <Trouble live={live} />
      <Masked live={live} />
    </div>
  );
}

/** What went wrong, with a way to try again; or that an answer takes long. */
export function Trouble({ live, waiting = false }: { live: Live; waiting?: boolean }) {
  const late = useLate(waiting || live.reading > 0 || live.unanswered);
  if (!live.error)
    return (
      <p class={late ? "trouble" : ""} role="status">
        {late && `No answer for ${LATE} seconds. The server is busy, or it has stopped.`}
      </p>
    );
  return (
    <p class="trouble" role="alert">
      {live.error}{" "}
      <button class="link" onClick={live.retry}>
        Try again
      </button>{" "}
      <button class="link" onClick={() => live.fail(null)}>
        Dismiss
      </button>
    </p>
  );
}

/** Seconds after which an answer is late. */
const LATE = 15;

/** Whether something has been waited for longer than that. */
function useLate(waiting: boolean): boolean {
  const [late, setLate] = useState(false);
  useEffect(() => {
    const timer = waiting && setTimeout(() => setLate(true), LATE * 1000);
    return () => {
      if (timer) clearTimeout(timer);
      setLate(false);
    };
  }, [waiting]);
  return late;
}

export function Masked({ live }: { live: Live }) {
  const { masked, by, setBy, status, unmask } = live;
  if (!masked.size) return null;
  return (
    <div class="masked-line">
      <span>
        <b>{masked.size}</b> masked
      </span>
      <label>
        set to{" "}
        <select value={by} onChange={(event) => setBy(event.currentTarget.value as "zero" | "mean")}>
          <option value="zero">zero</option>
          <option value="mean" disabled={!status?.means}>
            mean
          </option>
        </select>
      </label>
      <button class="link" onClick={unmask}>
        Unmask all
      </button>
    </div>
  );
}
