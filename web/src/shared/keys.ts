/** Keyboard shortcuts, silent while somebody types. */

import { useEvents } from "./events";

/** Whether a key press belongs to a field, to a dialog, or to the browser because of a modifier key. */
function isTaken(event: KeyboardEvent): boolean {
  const target = event.target as HTMLElement;
  const typing = target.matches?.("input:not([type=range]), select, textarea") || target.closest?.("dialog") != null;
  return typing || event.ctrlKey || event.metaKey || event.altKey;
}

/** Calls `onKey` for every key press that no field and no browser shortcut takes. */
export const useKeys = (onKey: (event: KeyboardEvent) => void): void =>
  useEvents(["keydown"], (event) => {
    if (!isTaken(event)) onKey(event);
  });
