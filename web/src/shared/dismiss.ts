/** What opens over the page closes with Escape, and when one goes on elsewhere. */

import type { RefObject } from "preact";
import { useEffect, useRef } from "preact/hooks";

export function useDismissed(): RefObject<HTMLDetailsElement | null> {
  const opened = useRef<HTMLDetailsElement>(null);
  useEffect(() => {
    const close = () => opened.current?.removeAttribute("open");
    const onPress = (event: PointerEvent) => {
      if (!opened.current?.contains(event.target as Node)) close();
    };
    const onKey = (event: KeyboardEvent) => {
      if (event.key !== "Escape" || !opened.current?.open) return;
      // Escape lets go of one thing at a time
      event.stopPropagation();
      close();
    };
    addEventListener("pointerdown", onPress);
    addEventListener("keydown", onKey, true);
    return () => {
      removeEventListener("pointerdown", onPress);
      removeEventListener("keydown", onKey, true);
    };
  }, []);
  return opened;
}
