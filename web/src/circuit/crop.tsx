/** Crops of a circuit as pictures. */

import { digits, plural } from "../shared/format";
import { usePictures } from "../shared/pictures";
import { Strip } from "../shared/strip";
import type { GroupData, PageData } from "../shared/types";

interface CropProps {
  data: PageData;
  crop: number;
  /** of a neuron, on this crop */
  activation?: number;
  /** whether screen readers get a description; no where the crop only decorates a name */
  label?: boolean;
}

/** One crop, or a plain square where the page has no picture of it. */
export function CropPicture({ data, crop, activation, label }: CropProps) {
  const source = sourceOf(data, crop);
  usePictures(source !== undefined);
  if (!source) return <span class="crop empty" aria-hidden="true" />;
  const where = whereOf(data, crop);
  const about = activation === undefined ? where : `${where} · activation ${digits(activation, 3)}`;
  return <img class="crop" src={source} alt={label ? about : ""} title={about} draggable={false} decoding="async" />;
}

/** The first crops of a group, in a row. */
export function CropStrip({ data, crops, count }: { data: PageData; crops: number[]; count: number }) {
  return (
    <Strip
      pictures={crops.slice(0, count).map((crop) => ({ source: sourceOf(data, crop), title: whereOf(data, crop) }))}
    />
  );
}

export function sourceOf(data: PageData, crop: number): string | undefined {
  const found = data.crops[crop];
  return found?.picture == null ? undefined : data.pictures[found.picture];
}

/** The image that a crop comes from, and where in it. */
export function whereOf(data: PageData, crop: number): string {
  const found = data.crops[crop];
  if (!found) return "";
  const [left, top, right] = found.box;
  return `${data.images[found.image]} · ${right - left} px square at ${left}, ${top}`;
}

/** Few photographs make a group suspicious only if the circuit was found on more than that. */
const FEW = 2;
const MANY = 5;

/** What is said of a group whose crops all come from one or two photographs. */
export function fewPhotographs({ crops }: GroupData, data: PageData): { short: string; text: string } | null {
  const images = new Set(crops.map((crop) => data.crops[crop]!.image)).size;
  if (crops.length <= FEW || images > FEW || data.images.length < MANY) return null;
  const photographs = plural(images, "photograph");
  return { short: plural(images, "photo"), text: `all crops come from ${photographs}` };
}
