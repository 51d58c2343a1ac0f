/** Where a picture comes in: dropped, chosen, pasted, or one of those that the server was given. */

import { useEffect, useRef, useState } from "preact/hooks";
import { LETTERS } from "./lit";
import type { Live } from "./state";

export function Add({ live, place }: { live: Live; place: number }) {
  const { status, samples, calls, show, busy } = live;
  const input = useRef<HTMLInputElement>(null);
  const take = (files: FileList | null | undefined) => {
    const file = files?.[0];
    if (file) show(calls.upload(file), place);
  };
  const over = useDrop(take);
  const another = place === 1;
  const ready = status?.state === "ready";
  return (
    <div class={`add${another ? " second" : ""}`}>
      <button class={`drop${over ? " over" : ""}${another ? " flat" : ""}`} disabled={!ready} onClick={() => input.current?.click()}>
        {busy ? "Reading …" : another ? `+ ${LETTERS[1]}, to compare` : <><b>Drop a picture here</b><small>or choose or paste one</small></>}
      </button>
      <input
        ref={input}
        type="file"
        accept="image/*"
        hidden
        aria-label={another ? "Second picture" : "Picture"}
        onChange={(event) => {
          take(event.currentTarget.files);
          event.currentTarget.value = "";
        }}
      />
      {samples.length > 0 && <Samples live={live} place={place} />}
    </div>
  );
}

function Samples({ live: { samples, calls, show }, place }: { live: Live; place: number }) {
  const labels = [...new Set(samples.map(({ label }) => label ?? "pictures"))];
  const pick = (number: number) => show(calls.sample(number), place);
  return (
    <div class="samples">
      <select
        aria-label="A picture to try"
        value=""
        onChange={(event) => {
          if (event.currentTarget.value) pick(Number(event.currentTarget.value));
          event.currentTarget.value = "";
        }}
      >
        <option value="">try one of {samples.length} …</option>
        {labels.map((label) => (
          <optgroup key={label} label={label}>
            {samples.filter((each) => (each.label ?? "pictures") === label).map(({ number, name }) => (
              <option key={number} value={number}>{name}</option>
            ))}
          </optgroup>
        ))}
      </select>
      <button onClick={() => pick(samples[Math.floor(Math.random() * samples.length)]!.number)}>any</button>
    </div>
  );
}

/** Files dropped or pasted anywhere on the page; whether one is being dragged over it. */
function useDrop(take: (files: FileList | null | undefined) => void): boolean {
  const [over, setOver] = useState(false);
  const latest = useRef(take);
  latest.current = take;
  useEffect(() => {
    const drag = (event: DragEvent) => {
      if (!event.dataTransfer?.types.includes("Files")) return;
      event.preventDefault();
      setOver(event.type === "dragover");
      if (event.type === "drop") latest.current(event.dataTransfer.files);
    };
    const paste = (event: ClipboardEvent) => {
      if (event.clipboardData?.files.length) latest.current(event.clipboardData.files);
    };
    const kinds = ["dragover", "dragleave", "drop"] as const;
    for (const kind of kinds) addEventListener(kind, drag);
    addEventListener("paste", paste);
    return () => {
      for (const kind of kinds) removeEventListener(kind, drag);
      removeEventListener("paste", paste);
    };
  }, []);
  return over;
}
