// What stands at the ticks of axes.

/** 0, and 1, 2 or 5 times a power of ten with either sign: what is labelled on a logarithmic axis. */
export function isRound(value: number): boolean {
  if (value === 0) return true;
  const size = Math.abs(value);
  const mantissa = size / 10 ** Math.floor(Math.log10(size) + 1e-9);
  return [1, 2, 5].some((each) => Math.abs(mantissa - each) < 1e-6);
}

/** A number as axes and readouts write it. */
export function tick(value: number): string {
  const size = Math.abs(value);
  if (value === 0 || (size >= 1e-3 && size < 1e5)) return String(Number(value.toPrecision(10)));
  return value.toExponential().replace(/e\+?/, "E");
}

/** Hours and minutes, and seconds where the ticks are closer than a minute; the date where a day begins. */
export function clock(seconds: number, step: number): string {
  const date = new Date(seconds * 1000);
  const text = date.toLocaleTimeString("en-GB");
  if (step >= 3600 && (step >= 86_400 || text === "00:00:00"))
    return date.toLocaleDateString("en-GB", { day: "numeric", month: "short" });
  return step < 60 ? text : text.slice(0, 5);
}
