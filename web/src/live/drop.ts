/** Files that are dropped or pasted anywhere on the page. */

import { useState } from "preact/hooks";
import { useEvents } from "../shared/events";

/** Takes the first files of each drop and paste, at most so many; returns whether files are dragged over the page. */
export function useDrop(most: number, take: (file: File) => void): boolean {
  const [over, setOver] = useState(false);
  const takeAll = (data: DataTransfer | null) => {
    for (const file of [...(data?.files ?? [])].slice(0, most)) take(file);
  };
  useEvents(["dragover", "dragleave", "drop"], (event) => {
    if (!event.dataTransfer?.types.includes("Files")) return;
    event.preventDefault(); // the browser would leave the page and open the file
    setOver(event.type === "dragover");
    if (event.type === "drop") takeAll(event.dataTransfer);
  });
  useEvents(["paste"], (event) => takeAll(event.clipboardData));
  return over;
}
