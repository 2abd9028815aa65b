// The plot of the page of trends: a curve for each PV, an axis for each unit.

import { type Color, color, namedColor } from "../color";
import type { Page } from "../page";
import { Plot, type PlotAxis } from "../plot/plot";
import type { Trace } from "../plot/trace";
import type { Curve } from "./curve";

export const MOST_AXES = 4;
const FONT = { family: "Arimo", size: 13, style: "REGULAR" } as const;
const COLORS: readonly Color[] = [
  [31, 104, 168],
  [200, 90, 20],
  [30, 130, 76],
  [150, 60, 150],
  [120, 100, 20],
  [20, 140, 150],
  [190, 50, 80],
  [90, 90, 100],
].map((rgb) => color([...rgb, 255]));

export function colorOf(index: number): Color {
  return COLORS[index % COLORS.length] as Color;
}

/** The units that have an axis, in order of the PVs. */
export function unitsOf(curves: readonly Curve[]): readonly string[] {
  return [...new Set(curves.map((curve) => curve.unit))].slice(0, MOST_AXES);
}

export class Chart {
  private readonly closers: (() => void)[] = [];
  private readonly traces: readonly Trace[];
  private readonly drawn: readonly Curve[];
  private readonly plot: Plot;

  constructor(
    page: Page,
    curves: readonly Curve[],
    window: () => readonly [number, number],
    private readonly now: () => number,
  ) {
    const units = unitsOf(curves);
    this.drawn = curves.filter((curve) => units.includes(curve.unit));
    this.traces = this.drawn.map((curve) => ({
      name: curve.unit ? `${curve.pv} (${curve.unit})` : curve.pv,
      color: colorOf(curves.indexOf(curve)),
      width: 1.5,
      dash: "solid",
      type: "step",
      point: "none",
      pointSize: 0,
      axis: units.indexOf(curve.unit),
      xs: [],
      ys: [],
      errors: undefined,
      labels: curve.labels,
    }));
    this.plot = new Plot(
      { panel: { page }, onClose: (closer) => this.closers.push(closer) },
      {
        title: "",
        titleFont: FONT,
        scaleFont: FONT,
        foreground: namedColor("Text"),
        background: namedColor("Background"),
        gridColor: namedColor("Grid"),
        legend: false,
        time: true,
        fixed: true,
        x: axis("", true, false),
        ys: (units.length ? units : [""]).map((unit, index) => axis(unit, index === 0, index % 2 === 1)),
      },
      this.traces,
      window,
    );
  }

  get element(): HTMLElement {
    return this.plot.element;
  }

  draw(): void {
    for (const [index, curve] of this.drawn.entries()) curve.fill(this.traces[index] as Trace, this.now());
    this.plot.redraw();
  }

  close(): void {
    for (const closer of this.closers) closer();
    this.element.remove();
  }
}

function axis(title: string, grid: boolean, right: boolean): PlotAxis {
  return {
    title,
    automatic: true,
    log: false,
    minimum: 0,
    maximum: 0,
    grid,
    visible: true,
    right,
    color: namedColor("Text"),
  };
}
