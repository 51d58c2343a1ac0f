/** A name that loses its middle where it does not fit: names of one kind differ least there. */

const KEPT = 8;

export function Middle({ text }: { text: string }) {
  if (text.length <= KEPT) return <span class="middle">{text}</span>;
  const kept = Math.min(KEPT, text.length - 4);
  return (
    <span class="middle">
      <span>{text.slice(0, -kept)}</span>
      <span>{text.slice(-kept)}</span>
    </span>
  );
}
