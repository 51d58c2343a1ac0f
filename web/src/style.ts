/** Lengths as a style, and the theme for what is painted by hand. */

import { useEffect, useState } from "preact/hooks";

/** Lengths in pixels as a style. */
export const box = (lengths: Record<string, number>): Record<string, string> =>
  Object.fromEntries(Object.entries(lengths).map(([name, value]) => [name, `${value}px`]));

const system = matchMedia("(prefers-color-scheme: dark)");

/** What is on now: the reader's choice, or the system's. */
export const theme = (): string => document.documentElement.dataset.theme ?? (system.matches ? "dark" : "light");

/** The theme, followed as it changes. */
export function useTheme(): string {
  const [now, setNow] = useState(theme);
  useEffect(() => {
    const follow = () => setNow(theme());
    const watcher = new MutationObserver(follow);
    watcher.observe(document.documentElement, { attributeFilter: ["data-theme"] });
    system.addEventListener("change", follow);
    return () => {
      watcher.disconnect();
      system.removeEventListener("change", follow);
    };
  }, []);
  return now;
}
