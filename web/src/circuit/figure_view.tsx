/** The figure mode: a preview, what the figure holds and how it looks, files to save, and a step-through for a talk. */

import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { download } from "../shared/download";
import type { Circuit } from "./circuit";
import type { Explorer } from "./explorer";
import {
  chosen,
  type Drawn,
  figureCaption,
  figureTitle,
  LOOKS,
  type Look,
  laidOut,
  nameInFigure,
  SIZES,
  type Size,
  type Source,
} from "./figure";
import { type Figure, figureSvg, jpegs, type Picture } from "./figure_svg";
import { pngOf } from "./ink";
import { Stage } from "./stage";

const CROPS = ["2", "3", "4", "6"];
/** Pixels of a PNG to one of the figure: print needs about 300 an inch, of which a CSS pixel is 1/96. */
const SHARPNESS = { column: 4, page: 4, slide: 1.5 };

export function FigureView({ explorer }: { explorer: Explorer }) {
  const { circuit, state, change, group, path } = explorer;
  const chosenBy = state.figure;
  const set = (part: Record<string, string>) => {
    const all = { ...chosenBy, ...part };
    change({ figure: Object.fromEntries(Object.entries(all).filter(([, text]) => text)) });
  };
  const source = sourceOf(chosenBy.of, state.pins.length, path !== null);
  const size: Size = chosenBy.size && chosenBy.size in SIZES ? (chosenBy.size as Size) : "page";
  const look: Look = chosenBy.look && chosenBy.look in LOOKS ? (chosenBy.look as Look) : "light";
  const count = Number(CROPS.find((each) => each === chosenBy.crops) ?? 4);
  const drawn = useMemo(
    () => chosen(circuit, source, state.pins, path, group?.id ?? null),
    [circuit, source, state.pins.join("\n"), path, group],
  );
  const plan = useMemo(() => laidOut(drawn, circuit, size, count), [drawn, circuit, size, count]);
  const title = chosenBy.title ?? figureTitle(circuit);
  const caption = chosenBy.caption ?? figureCaption(circuit, drawn);
  const figure: Figure = { circuit, drawn, plan, look, title: title.trim(), caption: caption.trim(), lit: null };
  const crops = useCrops(circuit, plan);
  const picture = useMemo(() => (crops ? figureSvg(figure, crops) : null), [crops, plan, look, title, caption]);
  const [staged, stage] = useState(false);
  usePage(picture);
  return (
    <section class="figure-view" aria-label="Figure">
      <form class="figure-form" onSubmit={(event) => event.preventDefault()}>
        <Choice
          name="Groups"
          value={source}
          onChoose={(of) => set({ of })}
          options={[
            ["pins", `Pinned (${state.pins.length})`, state.pins.length === 0],
            ["path", "The path that is shown", path === null],
            ["strongest", "The strongest of each layer", false],
          ]}
        />
        <Choice
          name="Width"
          value={size}
          onChoose={(size) => set({ size })}
          options={Object.entries(SIZES).map(([key, { name }]) => [key, name, false])}
        />
        <Choice
          name="Look"
          value={look}
          onChoose={(look) => set({ look })}
          options={Object.entries(LOOKS).map(([key, name]) => [key, name, false])}
        />
        <Choice
          name="Crops of a group"
          value={String(count)}
          onChoose={(crops) => set({ crops })}
          options={CROPS.map((each) => [each, each, false])}
        />
        <label>
          Title
          <input value={title} maxLength={200} onInput={(event) => set({ title: event.currentTarget.value || " " })} />
        </label>
        <label>
          Caption
          <textarea
            rows={6}
            value={caption}
            maxLength={400}
            onInput={(event) => set({ caption: event.currentTarget.value || " " })}
          />
        </label>
        <Saves picture={picture} size={size} name={circuit.data.target} />
        <button disabled={!picture} onClick={() => stage(true)}>
          Step through
        </button>
        <Storyboard explorer={explorer} drawn={drawn} />
      </form>
      <div class={`figure-sheet ${look}`} data-testid="figure">
        {picture && drawn.columns.length > 0 && <Preview picture={picture} alt={`${title}. ${caption}`} />}
        {!drawn.columns.length && <p class="quiet">Select a group in the circuit and pin it, or show a path.</p>}
      </div>
      {staged && crops && <Stage figure={figure} crops={crops} onClose={() => stage(false)} />}
    </section>
  );
}

/** Pinned groups come first, then a path that is shown. */
const sourceOf = (wanted: string | undefined, pins: number, hasPath: boolean): Source => {
  if (wanted === "strongest") return "strongest";
  if (wanted === "path" && hasPath) return "path";
  if (pins) return "pins";
  return hasPath ? "path" : "strongest";
};

const dataUri = (svg: string) => `data:image/svg+xml;charset=utf-8,${encodeURIComponent(svg)}`;

/** Room left around the preview, in pixels. */
const MARGIN = 24;
const LARGEST = 2;

/** The figure as large as there is room; it is saved and printed in its own size. */
function Preview({ picture: { svg, width, height }, alt }: { picture: Picture; alt: string }) {
  const frame = useRef<HTMLDivElement>(null);
  const [scale, setScale] = useState(1);
  useEffect(() => {
    const sheet = frame.current!.parentElement!;
    const fit = () => {
      const [across, down] = [sheet.clientWidth - 2 * MARGIN, sheet.clientHeight - 2 * MARGIN];
      setScale(Math.max(Math.min(across / width, down / height, LARGEST), 0.3));
    };
    const watching = new ResizeObserver(fit);
    watching.observe(sheet);
    return () => watching.disconnect();
  }, [width, height]);
  return (
    <div class="figure-frame" ref={frame} style={{ width: `${width * scale}px`, height: `${height * scale}px` }}>
      <img
        class="figure-picture"
        src={dataUri(svg)}
        width={width}
        height={height}
        style={{ transform: `scale(${scale})` }}
        alt={alt}
      />
    </div>
  );
}

interface ChoiceProps {
  name: string;
  value: string;
  onChoose: (value: string) => void;
  /** value, words, whether it cannot be chosen */
  options: [string, string, boolean][];
}

function Choice({ name, value, onChoose, options }: ChoiceProps) {
  return (
    <label>
      {name}
      <select value={value} onChange={(event) => onChoose(event.currentTarget.value)}>
        {options.map(([key, words, disabled]) => (
          <option key={key} value={key} disabled={disabled}>
            {words}
          </option>
        ))}
      </select>
    </label>
  );
}

function Saves({ picture, size, name }: { picture: Picture | null; size: Size; name: string }) {
  const [trouble, setTrouble] = useState("");
  const file = `${name.replace(/[^\p{L}\p{N}]+/gu, "-")}-figure-${size}`;
  const save = async (kind: "svg" | "png") => {
    try {
      const { svg } = picture!;
      const content = kind === "png" ? await pngOf(svg, SHARPNESS[size]) : new Blob([svg], { type: "image/svg+xml" });
      download(content, `${file}.${kind}`);
      setTrouble("");
    } catch (problem) {
      setTrouble((problem as Error).message);
    }
  };
  return (
    <div class="figure-saves">
      <button disabled={!picture} onClick={() => save("svg")}>
        Save SVG
      </button>
      <button disabled={!picture} onClick={() => save("png")}>
        Save PNG
      </button>
      <button
        disabled={!picture}
        title="Opens the print dialog with the figure alone on a page of its size"
        onClick={() => print()}
      >
        Print or save PDF
      </button>
      {trouble && (
        <p class="trouble" role="alert">
          {trouble}
        </p>
      )}
    </div>
  );
}

/** The pinned groups, to be named and let go. */
function Storyboard({ explorer: { circuit, state, pin, name }, drawn }: { explorer: Explorer; drawn: Drawn }) {
  const groups = drawn.columns.flat();
  return (
    <fieldset class="storyboard">
      <legend>Names in this link</legend>
      {groups.map((group) => (
        <div key={group.id}>
          <input
            aria-label={`Name of ${group.id}`}
            value={state.names[group.id] ?? ""}
            placeholder={nameInFigure(group, circuit)}
            maxLength={80}
            onInput={(event) => name(group.id, event.currentTarget.value)}
          />
          {state.pins.includes(group.id) && (
            <button aria-label={`Unpin ${group.id}`} onClick={() => pin(group.id)}>
              ✕
            </button>
          )}
        </div>
      ))}
    </fieldset>
  );
}

function useCrops(circuit: Circuit, plan: Figure["plan"]): Map<number, string> | null {
  const [crops, setCrops] = useState<Map<number, string> | null>(null);
  useEffect(() => {
    let latest = true;
    void jpegs(circuit, plan).then((found) => latest && setCrops(found));
    return () => {
      latest = false;
    };
  }, [circuit, plan]);
  return crops;
}

/** While the figure is open, the printed page is the figure alone, in its size. */
function usePage(picture: Picture | null): void {
  const [width, height] = [picture?.width ?? 0, picture?.height ?? 0];
  useEffect(() => {
    if (!width) return;
    const sheet = new CSSStyleSheet();
    sheet.replaceSync(`@page { size: ${width}px ${height}px; margin: 0 }`);
    const others = document.adoptedStyleSheets;
    document.adoptedStyleSheets = [...others, sheet];
    document.body.classList.add("prints-figure");
    return () => {
      document.adoptedStyleSheets = others;
      document.body.classList.remove("prints-figure");
    };
  }, [width, height]);
}
