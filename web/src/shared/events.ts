/** Events of the window. */

import { useEffect, useRef } from "preact/hooks";

/**
 * Calls `handler` for every event of these kinds, as long as the component is shown.
 *
 * The latest `handler` is called: an event may come before the effects of the last one have run.
 */
export function useEvents<Kind extends keyof WindowEventMap>(
  kinds: Kind[],
  handler: (event: WindowEventMap[Kind]) => void,
  capture = false,
): void {
  const latest = useRef(handler);
  latest.current = handler;
  useEffect(() => {
    const call = (event: Event) => latest.current(event as WindowEventMap[Kind]);
    for (const kind of kinds) addEventListener(kind, call, capture);
    return () => {
      for (const kind of kinds) removeEventListener(kind, call, capture);
    };
  }, []);
}
