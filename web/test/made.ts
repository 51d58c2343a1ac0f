/** Parts of circuits for tests. */

import type { EdgeData } from "../src/shared/types";

export const edge = (lower: string, upper: string, weight: number): EdgeData => ({
  lower,
  upper,
  weight,
  positive: null,
  negative: null,
  low: null,
  high: null,
  significance: null,
  stability: null,
});
