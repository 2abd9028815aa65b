// One curve of the newest image: its intensity and a band of one standard deviation on both sides.

import { make, setText } from "../dom";
import type { Page } from "../page";
import { tick } from "../plot/ticks";
import type { Trace } from "../plot/trace";
import { COLORS, PlotFrame } from "./plot_frame";
import { axisOf, linearUpTo, type Scale } from "./scales";

/** As NewestCurves gives it; null where a bin has no pixel. */
export interface CurveData {
  readonly name: string;
  readonly title: string;
  readonly labels: readonly string[];
  readonly x: readonly (number | null)[];
  readonly intensity: readonly (number | null)[];
  readonly sigma: readonly (number | null)[];
  readonly parameters: { readonly i0: number; readonly i1: number; readonly i2: number } | null;
}

const LITTLE = 0.01; // of a value: what a logarithmic axis need not show of its band

export class CurvePlot {
  readonly element = make("figure", "saxs-plot");
  private readonly caption = make("figcaption");
  private readonly frame: PlotFrame;
  private readonly trace: Trace;

  constructor(page: Page, index: number) {
    this.trace = traceOf("I", index);
    this.frame = new PlotFrame(page, [this.trace], false);
    this.element.append(this.caption, this.frame.element);
  }

  show(curve: CurveData, x: Scale, y: Scale): void {
    const { trace } = this;
    setText(this.caption, captionOf(curve));
    trace.xs = numbers(curve.x);
    const values = numbers(curve.intensity);
    const sigma = numbers(curve.sigma);
    trace.ys = values;
    trace.highs = values.map((value, bin) => value + (sigma[bin] ?? Number.NaN));
    trace.lows = values.map((value, bin) => {
      const low = value - (sigma[bin] ?? Number.NaN);
      return y === "log" && low < value * LITTLE ? 0 : low;
    });
    const [across = "x", up = "I"] = curve.labels;
    this.frame.draw(axisOf(across, x, linearUpTo(curve.x)), axisOf(up, y, linearUpTo(curve.intensity)));
  }

  close(): void {
    this.frame.close();
    this.element.remove();
  }
}

export function captionOf({ name, title, parameters }: CurveData): string {
  const named = title ? `${name}: ${title}` : name;
  if (!parameters) return named;
  const { i0, i1, i2 } = parameters;
  const shown = (value: number): string => tick(Number(value.toPrecision(4)));
  return `${named}   I0 = ${shown(i0)}   I2 = ${shown(i2)}   I1/I2 = ${shown(i1 / i2)} nm`;
}

export function traceOf(name: string, index: number, point = "none"): Trace {
  return {
    name,
    color: COLORS[index % COLORS.length] ?? COLORS[0]!,
    width: 1.5,
    dash: "solid",
    type: point === "none" ? "line" : "none",
    point,
    pointSize: 5,
    axis: 0,
    xs: [],
    ys: [],
    errors: undefined,
  };
}

function numbers(values: readonly (number | null)[]): Float64Array {
  return Float64Array.from(values, (value) => value ?? Number.NaN);
}
