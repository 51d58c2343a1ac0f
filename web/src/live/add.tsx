/** Where a picture comes in: chosen, or one of the samples of the server. Dropping and pasting work anywhere. */

import { useEffect, useRef, useState } from "preact/hooks";
import { LETTERS } from "./lit";
import { type Live, MOST_PICTURES } from "./state";

export function Add({ live }: { live: Live }) {
  const { status, samples, busy, pictures } = live;
  const input = useRef<HTMLInputElement>(null);
  const over = useDrop(live.take);
  const place = pictures.length;
  if (place >= MOST_PICTURES) {
    if (!over) return null;
    return <p class="drop over flat">Drop to replace picture {LETTERS[MOST_PICTURES - 1]}</p>;
  }
  const another = place > 0;
  return (
    <div class={`add${another ? " second" : ""}`}>
      <button
        class={`drop${over ? " over" : ""}${another ? " flat" : ""}`}
        disabled={status?.state !== "ready"}
        onClick={() => input.current?.click()}
      >
        <DropText busy={busy} another={another} />
      </button>
      <input
        ref={input}
        type="file"
        accept="image/*"
        hidden
        aria-label={another ? "Second picture" : "Picture"}
        onChange={(event) => {
          const file = event.currentTarget.files?.[0];
          if (file) live.take(file);
          event.currentTarget.value = "";
        }}
      />
      {samples.length > 0 && <Samples live={live} place={place} />}
    </div>
  );
}

function DropText({ busy, another }: { busy: boolean; another: boolean }) {
  if (busy) return <>Reading …</>;
  if (another) return <>Compare …</>;
  return (
    <>
      <b>Drop a picture here</b>
      <small>or click to choose one, or paste one</small>
    </>
  );
}

function Samples({ live: { samples, show }, place }: { live: Live; place: number }) {
  const labels = [...new Set(samples.map(({ label }) => label ?? "pictures"))];
  const pick = (number: number) => show(`s${number}`, place);
  return (
    <div class="samples">
      <select
        aria-label="Sample picture"
        value=""
        onChange={(event) => {
          if (event.currentTarget.value) pick(Number(event.currentTarget.value));
          event.currentTarget.value = "";
        }}
      >
        <option value="">{samples.length} samples …</option>
        {labels.map((label) => (
          <optgroup key={label} label={label}>
            {samples
              .filter((each) => (each.label ?? "pictures") === label)
              .map(({ number, name }) => (
                <option key={number} value={number}>
                  {name}
                </option>
              ))}
          </optgroup>
        ))}
      </select>
      <button onClick={() => pick(samples[Math.floor(Math.random() * samples.length)]!.number)}>random</button>
    </div>
  );
}

/** Takes files that are dropped or pasted anywhere on the page; returns whether one is being dragged over it. */
function useDrop(take: (file: File) => void): boolean {
  const [over, setOver] = useState(false);
  const latest = useRef(take);
  latest.current = take;
  useEffect(() => {
    const drag = (event: DragEvent) => {
      if (!event.dataTransfer?.types.includes("Files")) return;
      event.preventDefault(); // the browser would leave the page and open the file
      setOver(event.type === "dragover");
      const file = event.type === "drop" && event.dataTransfer.files[0];
      if (file) latest.current(file);
    };
    const paste = (event: ClipboardEvent) => {
      const file = event.clipboardData?.files[0];
      if (file) latest.current(file);
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
