/** One crop's picture, or a plain square where there is none. */

import type { PageData } from "./types";

export function CropPicture({ data, crop, label }: { data: PageData; crop: number; label?: boolean }) {
  const found = data.crops[crop];
  const source = found?.picture == null ? undefined : data.pictures[found.picture];
  if (!found || !source) return <span class="crop empty" aria-hidden="true" />;
  const [left, top, right] = found.box;
  const where = `${data.images[found.image]} · ${right - left} px square at ${left}, ${top}`;
  return <img class="crop" src={source} alt={label ? where : ""} title={where} draggable={false} />;
}
