/** A crop enlarged, beside the picture that it comes from; arrow keys go through the group's crops. */

import { useEffect, useRef } from "preact/hooks";
import type { Circuit, Group } from "./circuit";
import { sourceOf, whereOf } from "./crop";
import { headingOf } from "./names";
import { Sight } from "./sights";

interface LightboxProps {
  circuit: Circuit;
  group: Group;
  /** position of the crop among those of the group */
  place: number;
  /** shows another crop; null closes the lightbox */
  onPlace: (place: number | null) => void;
}

export function Lightbox({ circuit, group, place, onPlace }: LightboxProps) {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => dialog.current!.showModal(), []);
  const { data } = circuit;
  const crop = group.crops[place]!;
  const { image, box } = data.crops[crop]!;
  const whole = [group, ...circuit.groups.values()]
    .flatMap(({ sights }) => sights)
    .find((sight) => sight.image === image);
  const own = group.sights.find((sight) => sight.image === image);
  const count = group.crops.length;
  const go = (step: number) => onPlace((place + step + count) % count);
  return (
    <dialog
      class="lightbox"
      ref={dialog}
      aria-label={`Crops of ${headingOf(group, data)}`}
      onClose={() => onPlace(null)}
      onClick={(event) => event.target === event.currentTarget && event.currentTarget.close()}
      onKeyDown={(event) => {
        if (event.key === "ArrowLeft") go(-1);
        if (event.key === "ArrowRight") go(1);
      }}
    >
      <div class="lightbox-body">
        <div class="lightbox-pictures">
          {sourceOf(data, crop) && <img class="large-crop" src={sourceOf(data, crop)} alt={whereOf(data, crop)} />}
          {whole && <Sight circuit={circuit} sight={{ ...whole, boxes: [box], heat: own?.heat ?? null }} heat />}
        </div>
        <p class="lightbox-foot">
          <button onClick={() => go(-1)} aria-label="Previous crop">
            ←
          </button>
          <span>
            {place + 1} of {count} <small>{whereOf(data, crop)}</small>
          </span>
          <button onClick={() => go(1)} aria-label="Next crop">
            →
          </button>
          <button onClick={() => dialog.current!.close()}>Close</button>
        </p>
      </div>
    </dialog>
  );
}
