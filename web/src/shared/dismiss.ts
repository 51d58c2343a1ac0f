/** Menus that open over the page close with Escape, and on a press elsewhere. */

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
      // one Escape closes one thing
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
