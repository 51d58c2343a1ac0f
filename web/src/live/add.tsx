/** Where a picture comes in: chosen, or one of the samples of the server. Dropping and pasting work anywhere. */

import { useRef } from "preact/hooks";
import { LETTERS } from "./lit";
import type { Live } from "./state";
import { MOST_PICTURES } from "./tried";

export function Add({ live }: { live: Live }) {
  const { status, samples, over, reading, pictures } = live;
  const input = useRef<HTMLInputElement>(null);
  if (pictures.length >= MOST_PICTURES) {
    if (!over && !reading) return null;
    const words = reading ? "Reading …" : `Drop to replace picture ${LETTERS[MOST_PICTURES - 1]}`;
    return <p class="drop over flat">{words}</p>;
  }
  const another = pictures.length > 0;
  return (
    <div class={`add${another ? " second" : ""}`}>
      <button
        class={`drop${over ? " over" : ""}${another ? " flat" : ""}`}
        disabled={status?.state !== "ready"}
        onClick={() => input.current?.click()}
      >
        <DropText reading={reading} another={another} />
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
      {samples.length > 0 && <Samples live={live} />}
    </div>
  );
}

function DropText({ reading, another }: { reading: number; another: boolean }) {
  if (reading) return <>Reading …</>;
  if (another) return <>Compare …</>;
  return (
    <>
      <b>Drop a picture here</b>
      <small>or click to choose one, or paste one</small>
    </>
  );
}

function Samples({ live: { samples, show } }: { live: Live }) {
  const labels = [...new Set(samples.map(({ label }) => label ?? "pictures"))];
  const pick = (number: number) => show(`s${number}`);
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
      <button onClick={() => pick(samples[Math.floor(Math.random() * samples.length)]!.number)}>Random</button>
    </div>
  );
}
