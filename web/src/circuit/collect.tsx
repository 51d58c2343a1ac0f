/** What a reader does with a group for others: pins it for a figure, and names it in the address. */

import { useState } from "preact/hooks";
import type { Group } from "./circuit";
import type { Explorer } from "./explorer";

interface CollectProps {
  explorer: Explorer;
  group: Group;
  /** whether names are given here: a live page keeps those of stored groups beside the circuit */
  naming: boolean;
}

export function Collect({ explorer: { state, pin, name }, group, naming }: CollectProps) {
  const pinned = state.pins.includes(group.id);
  const own = state.names[group.id];
  const [words, setWords] = useState(own ?? "");
  return (
    <div class="collect">
      <button aria-pressed={pinned} onClick={() => pin(group.id)}>
        {pinned ? "Pinned for the figure" : "Pin for the figure"}
      </button>
      {naming && (
        <form
          onSubmit={(event) => {
            event.preventDefault();
            name(group.id, words.trim());
          }}
        >
          <input
            aria-label="Name in this link"
            title="The name is part of the address, so everyone who opens the link sees it"
            value={words}
            maxLength={80}
            placeholder="Name this group…"
            onInput={(event) => setWords(event.currentTarget.value)}
          />
          <button type="submit" disabled={words.trim() === (own ?? "")}>
            {own && !words.trim() ? "Clear" : "Name"}
          </button>
        </form>
      )}
    </div>
  );
}
