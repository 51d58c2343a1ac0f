/** One crop's picture, or a plain square where there is none. */

import type { PageData } from "./types";

interface CropProps {
  data: PageData;
  crop: number;
  /** of a neuron, on this crop */
  activation?: number;
  /** whether it is told to those who do not see it: not where it only decorates a name */
  label?: boolean;
}

export function CropPicture({ data, crop, activation, label }: CropProps) {
  const found = data.crops[crop];
  const source = found?.picture == null ? undefined : data.pictures[found.picture];
  if (!found || !source) return <span class="crop empty" aria-hidden="true" />;
  const [left, top, right] = found.box;
  const where = `${data.images[found.image]} · ${right - left} px square at ${left}, ${top}`;
  const about = activation === undefined ? where : `${where} · activation ${activation.toPrecision(3)}`;
  return <img class="crop" src={source} alt={label ? about : ""} title={about} draggable={false} decoding="async" />;
}
