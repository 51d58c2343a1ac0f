/** The search field with the list of what was found: each result says what it is. */

import { useState } from "preact/hooks";
import { plural } from "../shared/format";
import { listed, type Result } from "./find";

interface FinderProps {
  query: string;
  /** null without a query */
  results: Result[] | null;
  onQuery: (query: string) => void;
  onResult: (result: Result) => void;
}

const PLURALS: Record<Result["kind"], string> = {
  class: "classes",
  layer: "layers",
  neuron: "neurons",
  group: "groups",
};

export function Finder({ query, results, onQuery, onResult }: FinderProps) {
  const [open, setOpen] = useState(false);
  const [at, setAt] = useState(-1);
  const shown = results ? listed(results) : [];
  const isOpen = open && shown.length > 0;
  const take = (result: Result | undefined) => {
    if (!result) return;
    onResult(result);
    setOpen(false);
  };
  const onKey = (event: KeyboardEvent) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step && shown.length) {
      event.preventDefault();
      setOpen(true);
      setAt((at + step + shown.length) % shown.length);
    } else if (event.key === "Enter") take(shown[Math.max(at, 0)]);
    else if (event.key === "Escape" && query) {
      event.preventDefault(); // the first Escape clears the field, the next one may close a panel
      onQuery("");
    }
  };
  return (
    <div class="finder">
      <label for="find">
        Find <small role="status">{results ? counted(results) : ""}</small>
      </label>
      <input
        id="find"
        type="text"
        // biome-ignore lint/a11y/noRedundantRoles: only an input with a list of its own has the role by itself
        role="combobox"
        list={undefined}
        aria-label="Find"
        aria-expanded={isOpen}
        aria-controls="found"
        aria-autocomplete="list"
        aria-activedescendant={isOpen && at >= 0 ? `found-${at}` : undefined}
        autocomplete="off"
        value={query}
        placeholder="neuron 429, layer, label, class"
        onInput={(event) => {
          onQuery(event.currentTarget.value);
          setOpen(true);
          setAt(-1);
        }}
        onKeyDown={onKey}
        onBlur={() => setOpen(false)}
      />
      {isOpen && (
        <div id="found" role="listbox" aria-label="Found">
          {shown.map((result, i) => (
            <div
              key={i}
              id={`found-${i}`}
              role="option"
              tabIndex={-1}
              aria-selected={i === at}
              onMouseDown={(event) => {
                event.preventDefault(); // the field keeps the focus
                take(result);
              }}
            >
              <small>{result.kind}</small> <b>{result.title}</b> <span>{result.about}</span>
            </div>
          ))}
          {results!.length > shown.length && (
            <div role="option" tabIndex={-1} aria-selected={false} aria-disabled="true">
              <small>and {results!.length - shown.length} more</small>
            </div>
          )}
        </div>
      )}
    </div>
  );
}

/** `1 neuron, 5 groups`. */
function counted(results: Result[]): string {
  const kinds = [...new Set(results.map(({ kind }) => kind))];
  const words = kinds.map((kind) => {
    const count = results.filter((each) => each.kind === kind).length;
    return count === 1 ? plural(1, kind) : `${count} ${PLURALS[kind]}`;
  });
  return words.join(", ") || "nothing";
}
