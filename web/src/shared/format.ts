/** Numbers and counts in words. */

export const signed = (value: number): string =>
  `${value < 0 ? "−" : "+"}${Math.abs(value).toFixed(Math.abs(value) < 0.0995 ? 3 : 2)}`;

export const percent = (share: number): string => {
  const value = share * 100;
  if (value > 0 && value < 0.001) return "< 0.001 %";
  return `${value >= 10 || value === 0 ? Math.round(value) : value.toFixed(value < 0.1 ? 3 : 1)} %`;
};

/** What an answer says of a class: its probability by `inPercent`; of a quantity, which has none, its value. */
export const answer = (
  { logit, probability }: { logit: number; probability: number | null },
  inPercent: (share: number) => string = percent,
): string => (probability === null ? String(Number(logit.toPrecision(4))) : inPercent(probability));

export const plural = (count: number, word: string): string =>
  `${count.toLocaleString("en")} ${word}${count === 1 ? "" : "s"}`;

/** Mean and worst of an error; only once if both read the same. */
export const spread = ({ mean, worst }: { mean: number; worst: number }): string => {
  const [usual, most] = [percent(mean), percent(worst)];
  return usual === most ? usual : `${usual}, worst ${most}`;
};
