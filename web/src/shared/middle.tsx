/** A name that loses its middle where it does not fit: names of one kind differ least there. */

const KEPT = 8;

export function Middle({ text }: { text: string }) {
  if (text.length <= 2 * KEPT) return <span class="middle">{text}</span>;
  return (
    <span class="middle">
      <span>{text.slice(0, -KEPT)}</span>
      <span>{text.slice(-KEPT)}</span>
    </span>
  );
}
