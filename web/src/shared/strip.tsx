/** Crops in a row, as a group is recognised by. */

export interface Picture {
  /** data URI; nothing: a plain square */
  source: string | undefined;
  title?: string;
}

interface StripProps {
  pictures: Picture[];
  /** `strip`: small, in a row; others in a grid */
  kind?: "strip" | "crops" | "mosaic";
}

export function Strip({ pictures, kind = "strip" }: StripProps) {
  return (
    <span class={kind} aria-hidden="true">
      {pictures.map(({ source, title }, i) =>
        source ? (
          <img
            key={i}
            class="crop"
            src={source}
            alt=""
            title={title}
            draggable={false}
            loading="lazy"
            decoding="async"
          />
        ) : (
          <span key={i} class="crop empty" />
        ),
      )}
    </span>
  );
}

/** The pictures at some places of a page's list. */
export const picturesAt = (all: string[], places: number[] = []): Picture[] =>
  places.map((place) => ({ source: all[place] }));
