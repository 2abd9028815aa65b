// Linear, logarithmic, or both: logarithmic on both sides of 0, and linear close to it.

import { namedColor } from "../color";
import type { PlotAxis } from "../plot/plot";

export const SCALES = ["linear", "log", "symlog"] as const;

export type Scale = (typeof SCALES)[number];

const DECADES = 3;

/** Up to where a symlog axis is linear: three decades below the largest value; a power of ten. */
export function linearUpTo(values: Iterable<number | null>): number {
  let most = 0;
  for (const value of values) if (value !== null && Math.abs(value) > most) most = Math.abs(value);
  return most > 0 ? 10 ** (Math.floor(Math.log10(most)) - DECADES) : 1;
}

export function axisOf(title: string, scale: Scale, linear: number): PlotAxis {
  return {
    title,
    automatic: true,
    log: scale === "log",
    ...(scale === "symlog" ? { symlog: linear } : {}),
    minimum: 0,
    maximum: 0,
    grid: true,
    visible: true,
    right: false,
    color: namedColor("Text"),
  };
}
