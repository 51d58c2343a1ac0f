/** Returns lengths in pixels as a style. */
export const box = (lengths: Record<string, number>): Record<string, string> =>
  Object.fromEntries(Object.entries(lengths).map(([name, value]) => [name, `${value}px`]));
