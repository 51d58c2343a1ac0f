/** Menus that open over the page close with Escape, and on a press elsewhere. */

import type { RefObject } from "preact";
import { useRef } from "preact/hooks";
import { useEvents } from "./events";

export function useDismissed(): RefObject<HTMLDetailsElement | null> {
  const opened = useRef<HTMLDetailsElement>(null);
  const close = () => opened.current?.removeAttribute("open");
  useEvents(["pointerdown"], ({ target }) => {
    if (!opened.current?.contains(target as Node)) close();
  });
  useEvents(
    ["keydown"],
    (event) => {
      if (event.key !== "Escape" || !opened.current?.open) return;
      event.stopPropagation(); // one Escape closes one thing
      close();
    },
    true,
  );
  return opened;
}
