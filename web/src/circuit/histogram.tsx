/** A neuron's activations on all crops, and where those of one of its meanings lie among them. */

import { digits } from "../shared/format";
import type { HistogramData } from "../shared/types";

interface HistogramProps {
  of: HistogramData;
  /** a neuron's activations on the meaning's crops: the least and the largest that are shown */
  mark: [number, number];
}

const WIDTH = 118;
const HEIGHT = 26;

export function Histogram({ of: { low, high, counts }, mark: [from, to] }: HistogramProps) {
  const most = Math.log1p(Math.max(...counts));
  const bar = WIDTH / counts.length;
  const span = high - low || 1;
  const place = (value: number) => (Math.min(Math.max((value - low) / span, 0), 1) * WIDTH).toFixed(1);
  const total = counts.reduce((a, b) => a + b, 0);
  const about =
    `Activations on ${total.toLocaleString("en")} crops, from ${digits(low, 3)} to ${digits(high, 3)}, counts on a ` +
    `logarithmic scale; this meaning's from ${digits(from, 3)} to ${digits(to, 3)}`;
  return (
    <svg class="histogram" width={WIDTH} height={HEIGHT} role="img" aria-label={about}>
      <title>{about}</title>
      <rect
        class="range"
        x={place(from)}
        width={Math.max(Number(place(to)) - Number(place(from)), 1.5)}
        height={HEIGHT}
      />
      {counts.map((count, i) => {
        const height = most ? (Math.log1p(count) / most) * (HEIGHT - 2) : 0;
        return (
          <rect
            key={i}
            x={(i * bar).toFixed(1)}
            y={(HEIGHT - height).toFixed(1)}
            width={(bar - 0.6).toFixed(1)}
            height={height.toFixed(1)}
          />
        );
      })}
    </svg>
  );
}
