/** Beside the circuit: the pictures that are tried, and the audit to walk through. */

import { useState } from "preact/hooks";
import type { Circuit } from "../circuit";
import { AuditWalk } from "./audit";
import { FiringList } from "./firing";
import { PictureCard } from "./picture";
import { Add } from "./add";
import { GroupTools } from "./tools";
import type { Live } from "./state";

interface DockProps {
  live: Live;
  circuit: Circuit;
  selected: string | null;
  onSelect: (id: string | null) => void;
  /** labels were changed */
  onChanged: () => void;
}

export function Dock({ live, circuit, selected, onSelect, onChanged }: DockProps) {
  const [tab, setTab] = useState<"try" | "audit">("try");
  const [open, setOpen] = useState(true);
  const { status, pictures, error } = live;
  return (
    <aside class={`dock${open ? "" : " shut"}`} aria-label="Try it live">
      <nav class="tabs">
        <button aria-pressed={open && tab === "try"} onClick={() => (setTab("try"), setOpen(true))}>Try a picture</button>
        <button aria-pressed={open && tab === "audit"} onClick={() => (setTab("audit"), setOpen(true))}>Shortcuts</button>
        <button class="shutter" onClick={() => setOpen(!open)} aria-expanded={open} aria-label={open ? "Hide" : "Show"} title={open ? "Hide" : "Show"}>
          {open ? "−" : "+"}
        </button>
      </nav>
      <div class="dock-body">
        <p class="state" role="status">
          {status?.state === "loading" && "Loading the model … the circuit can be looked at meanwhile."}
          {status?.state === "failed" && <span class="against">{status.message}</span>}
        </p>
        {error && (
          <p class="trouble" role="alert">
            {error} <button class="link" onClick={() => live.fail(null)}>dismiss</button>
          </p>
        )}
        {tab === "audit" ? (
          <AuditWalk live={live} circuit={circuit} selected={selected} onSelect={onSelect} />
        ) : (
          <>
            {pictures.length === 0 && <Add live={live} place={0} />}
            {pictures.map((picture, i) => (
              <PictureCard key={picture.number} live={live} place={i} selected={selected} target={circuit.data.target} />
            ))}
            {pictures.length === 1 && <Add live={live} place={1} />}
            {selected && <GroupTools key={selected} live={live} circuit={circuit} id={selected} onChanged={onChanged} />}
            <Masked live={live} />
            <FiringList live={live} circuit={circuit} selected={selected} onSelect={onSelect} />
          </>
        )}
      </div>
    </aside>
  );
}

function Masked({ live }: { live: Live }) {
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
          <option value="mean" disabled={!status?.means}>their mean</option>
        </select>
      </label>
      <button class="link" onClick={unmask}>bring all back</button>
    </div>
  );
}
