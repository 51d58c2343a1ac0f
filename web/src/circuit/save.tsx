/** The menu that saves the circuit as a picture. */

import { useState } from "preact/hooks";
import { useDismissed } from "../shared/dismiss";
import { download } from "../shared/download";
import { type Part, type Scene, toPng, toSvg } from "./export";

interface SaveProps {
  scene: Omit<Scene, "part">;
  /** what is in view */
  part: () => Part;
}

export function Save({ scene, part }: SaveProps) {
  const menu = useDismissed();
  const [trouble, setTrouble] = useState("");
  const name = `${scene.circuit.data.target.replace(/[^\p{L}\p{N}]+/gu, "-")}-circuit`;
  const save = async (kind: "svg" | "png", whole: boolean) => {
    const chosen = { ...scene, part: whole ? null : part() };
    try {
      const content = kind === "png" ? await toPng(chosen) : new Blob([await toSvg(chosen)], { type: "image/svg+xml" });
      download(content, `${name}.${kind}`);
      setTrouble("");
      menu.current!.open = false;
    } catch (problem) {
      setTrouble((problem as Error).message);
    }
  };
  return (
    <details class="save" ref={menu}>
      <summary aria-label="Save as a picture" title="Save as a picture">
        ⤓
      </summary>
      <div class="menu">
        <b>Save as a picture</b>
        <button onClick={() => save("svg", true)}>SVG, the whole circuit</button>
        <button onClick={() => save("svg", false)}>SVG, what is in view</button>
        <button onClick={() => save("png", true)}>PNG, the whole circuit</button>
        <button onClick={() => save("png", false)}>PNG, what is in view</button>
        {trouble && (
          <p class="trouble" role="alert">
            {trouble}
          </p>
        )}
      </div>
    </details>
  );
}
