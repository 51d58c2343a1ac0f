/** Adds the cards that a moving view will need, a few in each frame, so that no frame takes long. */

import { useEffect, useRef, useState } from "preact/hooks";

/** Cards added in one frame. */
const IN_A_FRAME = 10;

/**
 * Returns those of `wanted` that are drawn now: those drawn before, those that are needed at once, and a few more
 * in each frame until all are.
 *
 * @param wanted ids in the order in which they are drawn
 */
export function useGradual(wanted: string[], atOnce: (id: string) => boolean): string[] {
  const drawn = useRef(new Set<string>());
  const [, again] = useState(0);
  const missing = wanted.filter((id) => !drawn.current.has(id) && !atOnce(id));
  const later = new Set(missing.slice(IN_A_FRAME));
  const now = wanted.filter((id) => !later.has(id));
  useEffect(() => {
    drawn.current = new Set(now);
    if (!later.size) return;
    const frame = requestAnimationFrame(() => again((count) => count + 1));
    return () => cancelAnimationFrame(frame);
  });
  return now;
}
