/** Light and dark: the reader's choice, or that of the system. */

import { useEffect, useState } from "preact/hooks";

const system = matchMedia("(prefers-color-scheme: dark)");

const theme = (): string => document.documentElement.dataset.theme ?? (system.matches ? "dark" : "light");

/** Returns the current theme and follows its changes. */
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

export function ThemeButton() {
  const now = useTheme();
  const other = now === "dark" ? "light" : "dark";
  return (
    <button
      class="theme"
      aria-label={`Switch to ${other}`}
      title={`Switch to ${other}`}
      onClick={() => {
        document.documentElement.dataset.theme = other;
      }}
    >
      {now === "dark" ? "☀" : "☾"}
    </button>
  );
}
