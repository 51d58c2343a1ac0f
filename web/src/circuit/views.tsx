/** The ways to look at a circuit: drawn, by one picture, as tables, as a figure. */

import type { ComponentChildren } from "preact";
import type { View } from "./state";

interface ViewsProps {
  view: View | null;
  /** whether there is a model, so that pictures can be explained */
  live: boolean;
  /** number of groups collected for a figure */
  pins: number;
  onView: (view: View | null) => void;
  children?: ComponentChildren;
}

export function Views({ view, live, pins, onView, children }: ViewsProps) {
  const all: [View | null, string][] = [
    [null, "Circuit"],
    ...(live ? [["why", "Why this picture"] as [View, string]] : []),
    ["tables", "Tables"],
    ["figure", pins ? `Figure (${pins} pinned)` : "Figure"],
  ];
  return (
    <div class="views">
      <nav aria-label="Views">
        {all.map(([name, words]) => (
          <button key={words} aria-current={view === name ? "page" : undefined} onClick={() => onView(name)}>
            {words}
          </button>
        ))}
      </nav>
      {children}
    </div>
  );
}
