/** Crops in a row, as a group is recognised by. */

export interface Picture {
  /** data URI; nothing: a plain square */
  source: string | undefined;
  title?: string;
}

interface StripProps {
  pictures: Picture[];
  /** larger, in a grid */
  large?: boolean;
}

export function Strip({ pictures, large }: StripProps) {
  return (
    <span class={large ? "crops" : "strip"} aria-hidden="true">
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
