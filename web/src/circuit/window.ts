/** Of a large circuit only what is near the view is drawn. */

import type { Size, View } from "../shared/camera";
import type { Layout, Place } from "./layout";

export interface Window {
  left: number;
  top: number;
  right: number;
  bottom: number;
  /** the scale it is drawn for */
  k: number;
  /** too small for pictures: cards are painted as plain boxes below the edges */
  bare: boolean;
  /** what is drawn beyond each side of the view, in views */
  spare: number;
}

/** A circuit of fewer groups is drawn whole: then Tab reaches every card. */
const LARGE = 250;
/** Drawn beyond each side of the view, in views, and how much of it may be left before more is drawn. */
const SPARE = 0.3;
export const LEFT = 0.1;
/** Drawn for another scale than this many times, it is blurred. */
const BLURRED = 1.2;
/** At a smaller scale the pictures of a card are specks. */
const SPECKS = 0.3;

const clamp = (value: number, least: number, most: number) => Math.min(Math.max(value, least), most);

export const isLarge = (plan: Layout) => plan.places.size > LARGE;

/** The part of the drawing that is in view, and `spare` views more on each side. */
export function windowOf({ k, x: left, y: top }: View, screen: Size, spare = SPARE): Window {
  const [x, y] = [-left / k, -top / k];
  const [width, height] = [screen.width / k, screen.height / k];
  return {
    left: x - spare * width,
    top: y - spare * height,
    right: x + (1 + spare) * width,
    bottom: y + (1 + spare) * height,
    k,
    bare: k < SPECKS,
    spare,
  };
}

/** Rounding, in units of the drawing. */
const NEARLY = 0.5;

/** The view that a window was made for. */
export function viewOf({ left, top, right, bottom, k, bare, spare }: Window): Window {
  const share = spare / (1 + 2 * spare);
  const [across, down] = [share * (right - left), share * (bottom - top)];
  return { left: left + across, top: top + down, right: right - across, bottom: bottom - down, k, bare, spare: 0 };
}

/** Whether what was painted for one window covers the view that another one was made for. */
export function covers(painted: Window, other: Window): boolean {
  const { left, top, right, bottom, ...rest } = viewOf(other);
  const view = { left: left + NEARLY, top: top + NEARLY, right: right - NEARLY, bottom: bottom - NEARLY, ...rest };
  return serves(painted, view) && sharp(painted, { k: other.k, x: 0, y: 0 });
}

/** The parts of a window outside of another one; they do not overlap. */
export function beyond(window: Window, other: Window): Window[] {
  const { left, top, right, bottom } = window;
  const [from, to] = [clamp(other.left, left, right), clamp(other.right, left, right)];
  const [above, below] = [clamp(other.top, top, bottom), clamp(other.bottom, top, bottom)];
  if (from >= to || above >= below) return [window];
  return [
    { ...window, right: from },
    { ...window, left: to },
    { ...window, left: from, right: to, bottom: above },
    { ...window, left: from, right: to, top: below },
  ].filter((part) => part.left < part.right && part.top < part.bottom);
}

/** Whether what is drawn still does: all of the view lies in it, and it is not of another scale. */
export function serves(drawn: Window, view: Window): boolean {
  return (
    drawn.bare === view.bare &&
    view.left >= drawn.left &&
    view.right <= drawn.right &&
    view.top >= drawn.top &&
    view.bottom <= drawn.bottom &&
    drawn.right - drawn.left < 3 * (view.right - view.left)
  );
}

/** Whether it was drawn for about this scale. */
export const sharp = (drawn: Window, { k }: View) => Math.max(k / drawn.k, drawn.k / k) < BLURRED;

export const holds = (drawn: Window, { x, y }: Place, card: Size) =>
  x < drawn.right && x + card.width > drawn.left && y < drawn.bottom && y + card.height > drawn.top;

/** Whether an edge may pass: a curve stays within the box of its ends. */
export function passes(drawn: Window, lower: Place, upper: Place, card: Size): boolean {
  const middle = card.height / 2;
  return (
    lower.x + card.width < drawn.right &&
    upper.x > drawn.left &&
    Math.min(lower.y, upper.y) + middle < drawn.bottom &&
    Math.max(lower.y, upper.y) + middle > drawn.top
  );
}
