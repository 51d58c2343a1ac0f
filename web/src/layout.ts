/** Where cards stand and how edges run between them, in pixels of the drawing. */

import type { Circuit } from "./circuit";

export const CARD = { width: 176, height: 82, gap: 12 };
export const COLUMN = { gap: 150, head: 58 };

export interface Place {
  x: number;
  y: number;
}

export interface Layout {
  places: Map<string, Place>;
  /** left edge of each column */
  columns: number[];
  width: number;
  height: number;
}

const pitch = CARD.height + CARD.gap;

export function layout(circuit: Circuit): Layout {
  const tallest = Math.max(...circuit.columns.map((column) => column.length));
  const height = COLUMN.head + tallest * pitch;
  const places = new Map<string, Place>();
  const columns = circuit.columns.map((column, number) => {
    const x = number * (CARD.width + COLUMN.gap);
    const top = COLUMN.head + ((tallest - column.length) * pitch) / 2;
    column.forEach((id, row) => places.set(id, { x, y: top + row * pitch }));
    return x;
  });
  const width = columns.length * (CARD.width + COLUMN.gap) - COLUMN.gap;
  return { places, columns, width, height };
}

/** A curve from the right side of the lower card to the left side of the upper one. */
export function curve(lower: Place, upper: Place): string {
  const [x0, y0] = [lower.x + CARD.width, lower.y + CARD.height / 2];
  const [x1, y1] = [upper.x, upper.y + CARD.height / 2];
  const bend = (x1 - x0) / 2;
  return `M${x0},${y0}C${x0 + bend},${y0} ${x1 - bend},${y1} ${x1},${y1}`;
}

/** Width of an edge in pixels: its area tells its weight. */
export function thickness(weight: number, largest: number): number {
  return 0.8 + 11 * (Math.abs(weight) / Math.max(largest, 1e-9));
}
