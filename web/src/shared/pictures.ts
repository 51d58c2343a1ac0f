/**
 * The pictures of a page, which stand behind its other data.
 *
 * They are most of a large file, and a browser reads a file from its beginning: the page is drawn as soon as the other data
 * are there, and its pictures follow, some at a time.
 */

import { useEffect, useState } from "preact/hooks";

/** Calls back whenever the browser has read more of the page, with the lists of pictures that are whole by now. */
function whileReading(onMore: (lists: Element[], isAll: boolean) => void): void {
  const more = () => {
    const isAll = document.readyState !== "loading";
    const lists = [...document.querySelectorAll(".picture-data")];
    onMore(lists, isAll);
    if (isAll) watching.disconnect();
  };
  const watching = new MutationObserver(more);
  watching.observe(document, { childList: true, subtree: true });
  document.addEventListener("DOMContentLoaded", more);
  more();
}

/** Resolves once the browser has read the page as far as its pictures. */
export const dataRead = (): Promise<void> =>
  new Promise((done) => whileReading((lists, isAll) => (isAll || lists.length) && done()));

const waiting = new Set<(lists: number) => void>();
/** lists of pictures that were added */
let added = 0;
let complete = true;

/** Adds pictures to a page's data when they have been read, and draws again what waits for them. */
export function addPictures(pictures: string[]): void {
  whileReading((lists, isAll) => {
    complete = isAll;
    const whole = lists.slice(added, isAll ? undefined : -1);
    for (const list of whole) pictures.push(...(JSON.parse(list.textContent || "[]") as string[]));
    added += whole.length;
    for (const draw of [...waiting]) draw(added);
  });
}

/** Draws the component again when there are more pictures, unless it has what it waits for. */
export function usePictures(has = false): void {
  const [, draw] = useState(added);
  const waits = !complete && !has;
  useEffect(() => {
    if (!waits) return;
    waiting.add(draw);
    draw(added); // pictures may have come since it was drawn
    return () => void waiting.delete(draw);
  }, [waits]);
}
