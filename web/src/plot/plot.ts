// A plot: axes, zoom and cursor from uPlot, traces drawn by trace.ts. uPlot itself is given no data: its series must be
// sorted by x and share their x values, which instruments do not promise.

import uPlot from "uplot";
import { type Color, css, paint, visible } from "../color";
import { make, px, setFont, setText } from "../dom";
import { formatTime } from "../format";
import type { Page } from "../page";
import type { FontRule } from "../subset";
import { paintBand, paintSeverities } from "./band";
import { held, nearest } from "./nearest";
import { clock, isRound, tick } from "./ticks";
import { extent, lengthOf, paintTrace, type Trace } from "./trace";

export interface PlotAxis {
  readonly title: string;
  readonly automatic: boolean;
  readonly log: boolean;
  /** Linear up to this value on both sides of 0, logarithmic beyond. */
  readonly symlog?: number;
  readonly minimum: number;
  readonly maximum: number;
  readonly grid: boolean;
  readonly visible: boolean;
  readonly right: boolean;
  readonly color: Color;
}

export interface PlotOptions {
  readonly title: string;
  readonly titleFont: FontRule;
  readonly scaleFont: FontRule;
  readonly foreground: Color;
  readonly background: Color;
  readonly gridColor: Color;
  readonly legend: boolean;
  readonly time: boolean;
  /** Where a drag moves instead of choosing a part. */
  readonly fixed?: boolean;
  readonly x: PlotAxis;
  readonly ys: readonly PlotAxis[];
}

/** Whose plot it is: a widget, or the page of trends. */
export interface PlotOwner {
  readonly panel: { readonly page: Page };
  onClose(closer: () => void): void;
}

type Span = readonly [low: number, high: number];

const PADDING = 0.05;
const READ_DIGITS = 6;

export class Plot {
  readonly element = make("div", "plot");
  private readonly host = make("div", "plot-host");
  private readonly legend = make("div", "legend");
  private readonly readout = make("output", "readout");
  private readonly remark = make("div", "remark");
  private readonly sizes = new ResizeObserver(() => this.build());
  private readonly entries: HTMLElement[] = [];
  private chart: uPlot | undefined;
  /** What the operator zoomed to: x, then one span for each y axis. */
  private zoomed: readonly Span[] | undefined;
  private readonly draw = (): void => this.drawNow();

  constructor(
    private readonly widget: PlotOwner,
    private readonly options: PlotOptions,
    private readonly traces: readonly Trace[],
    /** The x span where the x axis is neither fixed nor automatic, such as a time that goes on. */
    private readonly window: (() => Span) | undefined = undefined,
  ) {
    const { page } = widget.panel;
    this.element.style.backgroundColor = css(options.background);
    this.element.style.color = css(options.foreground);
    if (options.title) {
      const title = make("div", "plot-title", options.title);
      setFont(title, options.titleFont);
      this.element.append(title);
    }
    setFont(this.legend, options.scaleFont);
    this.readout.style.fontSize = px(options.scaleFont.size * 0.9);
    this.element.append(this.host);
    if (options.legend) this.element.append(this.legend);
    this.element.append(this.readout, this.remark);
    for (const trace of traces) {
      const mark = make("span", "mark");
      mark.style.backgroundColor = css(visible(trace.color));
      this.entries.push(make("span", "entry", mark, trace.name));
    }
    this.legend.append(...this.entries);
    this.sizes.observe(this.host);
    widget.onClose(page.room.watch(this.draw));
    widget.onClose(() => this.close());
  }

  /** Draws what the traces hold now, in the next frame. */
  redraw(): void {
    this.widget.panel.page.frames.request(this.draw);
  }

  /** A few words in the corner, all of them as a tooltip. */
  note(text: string): void {
    setText(this.remark, text);
    this.remark.title = text;
  }

  private close(): void {
    this.sizes.disconnect();
    this.widget.panel.page.frames.cancel(this.draw);
    this.chart?.destroy();
  }

  // Ranges ------------------------------------------------------------------------------------------------------------

  private spans(): readonly Span[] {
    if (this.zoomed) return this.zoomed;
    const { x, ys } = this.options;
    const xs =
      this.window?.() ??
      this.span(
        x,
        this.traces.map((trace) => trace.xs),
        0,
      );
    return [
      xs,
      ...ys.map((axis, index) =>
        this.span(
          axis,
          this.traces
            .filter((trace) => trace.axis === index)
            .flatMap((trace) => [trace.ys, trace.lows ?? [], trace.highs ?? []]),
          PADDING,
        ),
      ),
    ];
  }

  private span(axis: PlotAxis, values: readonly ArrayLike<number>[], padding: number): Span {
    const fixed = axis.minimum < axis.maximum && (!axis.log || axis.minimum > 0);
    if (!axis.automatic && fixed) return [axis.minimum, axis.maximum];
    const extents = values.map((each) => extent(each, axis.log)).filter((each) => each !== undefined);
    if (!extents.length) return fixed ? [axis.minimum, axis.maximum] : [axis.log ? 1 : 0, axis.log ? 10 : 1];
    const low = Math.min(...extents.map((each) => each[0]));
    const high = Math.max(...extents.map((each) => each[1]));
    if (axis.symlog) {
      const [first, last] = [Math.asinh(low / axis.symlog), Math.asinh(high / axis.symlog)];
      const room = (last - first) * padding || 0.5;
      return [Math.sinh(first - room) * axis.symlog, Math.sinh(last + room) * axis.symlog];
    }
    if (axis.log)
      return low < high ? [low / (high / low) ** padding, high * (high / low) ** padding] : [low / 2, high * 2];
    const room = high > low ? (high - low) * padding : Math.abs(high) * 0.1 || 1;
    return high > low ? [low - room, high + room] : [low - room, high + room];
  }

  // uPlot -------------------------------------------------------------------------------------------------------------

  private build(): void {
    const [width, height] = [this.host.clientWidth, this.host.clientHeight];
    if (width < 20 || height < 20) return;
    this.chart?.destroy();
    const scale = Number.parseFloat(getComputedStyle(this.element).getPropertyValue("--s")) || 1;
    this.chart = new uPlot(
      this.chartOptions(width, height, scale),
      [[], ...this.options.ys.map(() => [])] as uPlot.AlignedData,
      this.host,
    );
    this.redraw();
  }

  private chartOptions(width: number, height: number, scale: number): uPlot.Options {
    const { options } = this;
    // The ranges are ours; uPlot would widen logarithmic ones to whole decades.
    const range = (_: uPlot, min: number, max: number): [number, number] => [min, max];
    const rules = (axis: PlotAxis): uPlot.Scale => ({
      auto: false,
      distr: axis.log ? 3 : axis.symlog ? 4 : 1,
      ...(axis.symlog ? { asinh: axis.symlog } : {}),
      range,
    });
    const axes = [options.x, ...options.ys].map((axis, index) => this.axis(axis, index, scale));
    const scales: uPlot.Scales = { x: { time: options.time, ...rules(options.x) } };
    for (const [index, axis] of options.ys.entries()) scales[`y${index}`] = rules(axis);
    return {
      width,
      height,
      scales,
      axes,
      series: [{}, ...options.ys.map((_, index) => ({ scale: `y${index}`, show: true }))],
      legend: { show: false },
      padding: [6 * scale, 10 * scale, 0, 0],
      cursor: {
        points: { show: false },
        drag: { x: !options.fixed, y: !options.fixed, uni: 12, setScale: false },
        bind: { dblclick: () => () => this.unzoom() },
      },
      hooks: {
        draw: [(chart) => this.paintTraces(chart)],
        setSelect: [(chart) => this.zoom(chart)],
        setCursor: [(chart) => this.point(chart)],
      },
    };
  }

  private axis(axis: PlotAxis, index: number, scale: number): uPlot.Axis {
    const { options, widget } = this;
    const size = options.scaleFont.size * 0.85 * scale;
    const font = `${size}px Arimo, "Liberation Sans", Arial, sans-serif`;
    const stroke = (): string => paint(options.foreground, widget.panel.page.room.isDark);
    const grid = (): string => paint(options.gridColor, widget.panel.page.room.isDark);
    return {
      scale: index === 0 ? "x" : `y${index - 1}`,
      show: axis.visible,
      side: index === 0 ? 2 : axis.right ? 1 : 3,
      ...(axis.title ? { label: axis.title } : {}),
      labelFont: font,
      labelSize: size * 1.5,
      font,
      gap: 3 * scale,
      size: index === 0 ? size * 2 : (_: uPlot, labels: string[]) => widthOf(labels ?? [], size),
      stroke,
      grid: { show: axis.grid, stroke: grid, width: 1 },
      ticks: { stroke: grid, size: 4 * scale, width: 1 },
      space: index === 0 ? size * 6 : size * 2.2,
      values: (_: uPlot, values: (number | null)[], __: number, ___: number, step: number) =>
        values.map((value) => {
          if (value === null || ((axis.log || axis.symlog) && !isRound(value))) return "";
          return options.time && index === 0 ? clock(value, step) : tick(value);
        }),
    };
  }

  private drawNow(): void {
    const { chart } = this;
    if (!chart) return;
    const spans = this.spans();
    chart.batch(() => {
      for (const [index, [min, max]] of spans.entries())
        chart.setScale(index === 0 ? "x" : `y${index - 1}`, { min, max });
    });
    chart.redraw(false, true);
    this.element.dataset.spans = spans
      .map((span) => span.map((each) => Number(each.toPrecision(12))).join(" "))
      .join(", ");
    this.element.dataset.points = this.traces.map(lengthOf).join(" ");
  }

  private paintTraces(chart: uPlot): void {
    const { ctx, bbox } = chart;
    const dark = this.widget.panel.page.room.isDark;
    ctx.save();
    ctx.beginPath();
    ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
    ctx.clip();
    for (const [row, trace] of this.traces.entries()) {
      const x = this.projection(chart, "x", this.options.x);
      const y = this.projection(chart, `y${trace.axis}`, this.options.ys[trace.axis]);
      const [to, color] = [
        { x, y, ratio: uPlot.pxRatio, floor: bbox.top + bbox.height },
        paint(visible(trace.color), dark),
      ];
      paintBand(ctx, trace, to, color);
      paintTrace(ctx, trace, to, color);
      paintSeverities(ctx, trace, to, row, bbox.top + bbox.height);
    }
    ctx.restore();
  }

  /** As chart.valToPos, which is too slow for each of many points. */
  private projection(chart: uPlot, key: string, axis: PlotAxis | undefined): (value: number) => number {
    const { min = 0, max = 1 } = chart.scales[key] as { min?: number; max?: number };
    const { left, top, width, height } = chart.bbox;
    const scale = scaleOf(axis);
    const [first, last] = [scale(min), scale(max)];
    const place = (value: number): number => (scale(value) - first) / (last - first);
    return key === "x" ? (value) => left + place(value) * width : (value) => top + (1 - place(value)) * height;
  }

  // The operator ------------------------------------------------------------------------------------------------------

  private zoom(chart: uPlot): void {
    const { left, top, width, height } = chart.select;
    if (width < 4 && height < 4) return;
    const box = { width: chart.over.clientWidth, height: chart.over.clientHeight };
    const [fromX, toX] = width < 4 ? [0, box.width] : [left, left + width];
    const [fromY, toY] = height < 4 ? [0, box.height] : [top, top + height];
    this.zoomed = [
      [chart.posToVal(fromX, "x"), chart.posToVal(toX, "x")],
      ...this.options.ys.map((_, index): Span => [
        chart.posToVal(toY, `y${index}`),
        chart.posToVal(fromY, `y${index}`),
      ]),
    ];
    chart.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
    this.element.dataset.zoomed = "";
    this.redraw();
  }

  private unzoom(): null {
    this.zoomed = undefined;
    delete this.element.dataset.zoomed;
    this.redraw();
    return null;
  }

  private point(chart: uPlot): void {
    const { left } = chart.cursor;
    if (left === undefined || left < 0) return setText(this.readout, "");
    const at = chart.posToVal(left, "x");
    const values = this.traces.flatMap((trace) => {
      const steps = trace.type === "step";
      const index = steps ? held(trace, at) : nearest(trace, at);
      if (index === undefined) return [];
      return [{ trace, x: steps ? at : (trace.xs[index] as number), y: trace.ys[index] as number }];
    });
    const x = values[0]?.x ?? at;
    const text = this.options.time
      ? formatTime(x)
      : `${this.options.x.title || "x"} = ${tick(Number(x.toPrecision(READ_DIGITS)))}`;
    setText(
      this.readout,
      [
        text,
        ...values.map(
          ({ trace, y }) => `${trace.name || "y"} = ${trace.labels?.[y] ?? tick(Number(y.toPrecision(READ_DIGITS)))}`,
        ),
      ].join("   "),
    );
  }
}

/** Of a y axis: long labels need more, and room for a few digits is always there, so that plots seldom move. */
function widthOf(labels: readonly string[], size: number): number {
  return Math.max(4, 1.2 + 0.6 * Math.max(0, ...labels.map((label) => label?.length ?? 0))) * size;
}

/** From values to what is equally spaced on an axis. */
function scaleOf(axis: PlotAxis | undefined): (value: number) => number {
  if (axis?.log) return Math.log;
  const linear = axis?.symlog;
  return linear ? (value) => Math.asinh(value / linear) : (value) => value;
}
