// A plot whose axes may become others: it is made anew then, as uPlot wants it.

import { type Color, color, namedColor } from "../color";
import { make } from "../dom";
import type { Page } from "../page";
import { Plot, type PlotAxis } from "../plot/plot";
import type { Trace } from "../plot/trace";

const FONT = { family: "Arimo", size: 13, style: "REGULAR" } as const;

export const COLORS: readonly Color[] = [
  [31, 104, 168],
  [200, 90, 20],
  [30, 130, 76],
  [150, 60, 150],
  [20, 140, 150],
  [190, 50, 80],
].map((rgb) => color([...rgb, 255]));

export class PlotFrame {
  readonly element = make("div", "saxs-frame");
  private plot: Plot | undefined;
  private layout = "";
  private closers: (() => void)[] = [];

  constructor(
    private readonly page: Page,
    private readonly traces: readonly Trace[],
    private readonly time: boolean,
  ) {}

  draw(x: PlotAxis, y: PlotAxis, window?: () => readonly [number, number]): void {
    const layout = JSON.stringify([x, y]);
    if (layout !== this.layout || !this.plot) {
      this.close();
      this.layout = layout;
      this.plot = new Plot(
        { panel: { page: this.page }, onClose: (closer) => this.closers.push(closer) },
        {
          title: "",
          titleFont: FONT,
          scaleFont: FONT,
          foreground: namedColor("Text"),
          background: namedColor("Background"),
          gridColor: namedColor("Grid"),
          legend: this.traces.length > 1,
          time: this.time,
          x,
          ys: [y],
        },
        this.traces,
        window,
      );
      this.element.append(this.plot.element);
    }
    this.plot.redraw();
  }

  close(): void {
    for (const closer of this.closers) closer();
    this.closers = [];
    this.plot?.element.remove();
    this.plot = undefined;
  }
}
