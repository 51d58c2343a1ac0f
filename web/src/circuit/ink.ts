/** Parts of drawings that are saved as SVG: inks, text that is safe and fits, pictures. */

export const FONT = "Helvetica, Arial, sans-serif";

export const INK = {
  light: {
    back: "#ffffff",
    tile: "#ffffff",
    text: "#1c1d1f",
    quiet: "#5b5e63",
    line: "#c9c9c4",
    for: "#0f6e84",
    against: "#b3400f",
  },
  dark: {
    back: "#15171a",
    tile: "#1f2226",
    text: "#eceded",
    quiet: "#a5abb3",
    line: "#4a4f56",
    for: "#52bfd6",
    against: "#f08a5b",
  },
};
export type Ink = (typeof INK)["light"];

const SIGNS: Record<string, string> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" };
export const safe = (text: string): string =>
  // characters that XML cannot hold would make the whole file unreadable
  text.replace(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]/g, "").replace(/[&<>"]/g, (sign) => SIGNS[sign]!);

function widthOf(text: string, size: number, bold = false): number {
  const brush = document.createElement("canvas").getContext("2d")!;
  brush.font = `${bold ? "bold " : ""}${size}px ${FONT}`;
  return brush.measureText(text).width;
}

/** As much of a text as fits; what is left out is in the middle, where names differ least. */
export function fitted(text: string, width: number, size: number, bold = false): string {
  if (widthOf(text, size, bold) <= width) return text;
  for (let kept = text.length - 1; kept > 1; kept--) {
    const short = `${text.slice(0, Math.ceil(kept / 2)).trimEnd()}…${text.slice(text.length - Math.floor(kept / 2)).trimStart()}`;
    if (widthOf(short, size, bold) <= width) return short;
  }
  return "…";
}

/** A heading whole where that is possible: in one line, a smaller one, or two small ones; with their size. */
export function headed(text: string, width: number, size: number): { lines: string[]; size: number } {
  for (const small of [size, 0.9 * size, 0.8 * size])
    if (widthOf(text, small, true) <= width) return { lines: [text], size: small };
  const small = 0.72 * size;
  const lines = wrapped(text, width, small, true);
  const whole = lines.length === 2 && lines.every((line) => widthOf(line, small, true) <= width);
  return whole ? { lines, size: small } : { lines: [fitted(text, width, 0.8 * size, true)], size: 0.8 * size };
}

/** A text in lines of at most a width; a longer word loses its middle. */
export function wrapped(text: string, width: number, size: number, bold = false): string[] {
  const lines: string[] = [];
  let line = "";
  for (const whole of text.split(/\s+/).filter(Boolean)) {
    const word = fitted(whole, width, size, bold);
    const longer = line ? `${line} ${word}` : word;
    if (line && widthOf(longer, size, bold) > width) {
      lines.push(line);
      line = word;
    } else line = longer;
  }
  return line ? [...lines, line] : lines;
}

export async function loaded(source: string): Promise<HTMLImageElement> {
  const image = new Image();
  image.src = source;
  await image.decode();
  return image;
}

export function painted(image: HTMLImageElement, width: number, height: number): HTMLCanvasElement {
  const canvas = document.createElement("canvas");
  canvas.width = Math.round(width);
  canvas.height = Math.round(height);
  canvas.getContext("2d")!.drawImage(image, 0, 0, canvas.width, canvas.height);
  return canvas;
}

const LARGEST_SIDE = 12000;

/** An SVG as PNG, so many pixels to one of the drawing where browsers allow it. */
export async function pngOf(svg: string, sharpness: number): Promise<Blob> {
  const image = await loaded(`data:image/svg+xml;charset=utf-8,${encodeURIComponent(svg)}`);
  const scale = Math.min(sharpness, LARGEST_SIDE / Math.max(image.width, image.height));
  return new Promise((resolve, reject) =>
    painted(image, image.width * scale, image.height * scale).toBlob(
      (blob) =>
        blob ? resolve(blob) : reject(new Error("The picture is too large for this browser. Save a smaller part.")),
      "image/png",
    ),
  );
}
