/**
 * Heat over a picture: what is cold is dimmed, so that heat shows on pictures of any colour.
 *
 * Values run from 0 to 1. The canvas has one pixel a value; the browser smooths between them.
 */
export function paintHeat(canvas: HTMLCanvasElement, width: number, height: number, values: ArrayLike<number>): void {
  [canvas.width, canvas.height] = [width, height];
  const brush = canvas.getContext("2d")!;
  const image = brush.createImageData(width, height);
  for (let i = 0; i < width * height; i++)
    image.data.set([...SHADE, (1 - Math.min(Math.max(values[i]!, 0), 1)) ** CONTRAST * DARKEST], 4 * i);
  brush.putImageData(image, 0, 0);
}

const SHADE = [10, 12, 20];
/** Opacity of 255 where nothing responds. */
const DARKEST = 205;
const CONTRAST = 1.4;
/** A heat of this much and more is not dimmed: the peak of a map is well above its mean of 1. */
export const HOTTEST = 3;

/** The values of a map that was sent as base64 bytes, from 0 to 1. */
export const valuesOf = (bytes: string): number[] => [...atob(bytes)].map((byte) => byte.charCodeAt(0) / 255);
