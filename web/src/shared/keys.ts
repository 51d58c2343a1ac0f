/** Keyboard shortcuts: one listener for the page, silent while somebody types. */

import { useEffect, useRef } from "preact/hooks";

/** Whether a key press belongs to a field, to a dialog, or to the browser because of a modifier key. */
function isTaken(event: KeyboardEvent): boolean {
  const target = event.target as HTMLElement;
  const typing = target.matches?.("input:not([type=range]), select, textarea") || target.closest?.("dialog") != null;
  return typing || event.ctrlKey || event.metaKey || event.altKey;
}

/**
 * Calls `onKey` for every key press that no field and no browser shortcut takes.
 *
 * The latest `onKey` is called: the next key may come before the effects of the last one have run.
 */
export function useKeys(onKey: (event: KeyboardEvent) => void): void {
  const latest = useRef(onKey);
  latest.current = onKey;
  useEffect(() => {
    const listen = (event: KeyboardEvent) => {
      if (!isTaken(event)) latest.current(event);
    };
    addEventListener("keydown", listen);
    return () => removeEventListener("keydown", listen);
  }, []);
}
