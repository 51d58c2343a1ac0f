/** Numbers and counts in words. */

/** With the minus sign of typography; a number that rounds to zero has no sign. */
const minus = (text: string): string => text.replace(/^-(?=.*[1-9])/, "−").replace(/^-/, "");
export const fixed = (value: number, places: number): string => minus(value.toFixed(places));
export const digits = (value: number, count: number): string => minus(value.toPrecision(count));

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
): string => (probability === null ? minus(String(Number(logit.toPrecision(4)))) : inPercent(probability));

/** A share with its sign: `+52 %`, `−3.1 %`. A share that rounds to zero has none. */
export const signedPercent = (share: number): string => {
  const value = Math.abs(share * 100);
  if (value < 0.05) return "0 %";
  const digits = value >= 9.95 ? 0 : 1;
  return `${share < 0 ? "−" : "+"}${value.toFixed(digits)} %`;
};

/** How weights are written: in per cent if they are shares. */
export const weightsAs = (shares: boolean): ((weight: number) => string) => (shares ? signedPercent : signed);

/** Shares below this are faint: they say little. */
export const FAINT = 0.05;

/** A count with commas; small ones are written without the formatter of the browser, which takes long to start. */
export const counted = (count: number): string => (count < 1000 ? String(count) : count.toLocaleString("en"));

export const plural = (count: number, word: string): string => `${counted(count)} ${word}${count === 1 ? "" : "s"}`;

/** Mean and worst of an error; only once if both read the same. */
export const spread = ({ mean, worst }: { mean: number; worst: number }): string => {
  const [usual, most] = [percent(mean), percent(worst)];
  return usual === most ? usual : `${usual}, worst ${most}`;
};

/** What one of the groups of a target is called. */
export const partOf = (target: string, place: number, count: number): string =>
  count > 1 ? `${target}, ${place + 1} of ${count}` : target;

/** The last part of a path. */
export const fileName = (path: string): string => path.slice(path.lastIndexOf("/") + 1);
