// Which point of a trace is meant by a place on its x axis.

import { lengthOf, type Trace } from "./trace";

/** The nearest one that has a value. */
export function nearest(trace: Trace, x: number): number | undefined {
  let [best, distance] = [undefined as number | undefined, Number.POSITIVE_INFINITY];
  for (let index = 0; index < lengthOf(trace); index++) {
    const away = Math.abs((trace.xs[index] as number) - x);
    if (away < distance && Number.isFinite(trace.ys[index] as number)) [best, distance] = [index, away];
  }
  return best;
}

/** The one whose value held at `x`, where x values rise; none where it was not known, and before the first. */
export function held(trace: Trace, x: number): number | undefined {
  let [low, high] = [0, lengthOf(trace)];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((trace.xs[middle] as number) <= x) low = middle + 1;
    else high = middle;
  }
  return low > 0 && Number.isFinite(trace.ys[low - 1] as number) ? low - 1 : undefined;
}
