// What the queue has done: how fast, and the integral parameters of its images.

import { make, setText } from "../dom";
import { messageOf } from "../faults";
import { extent, type Trace } from "../plot/trace";
import { traceOf } from "./curve_plot";
import type { Device } from "../device";
import { save } from "./files";
import { correlationLength, csvOf, histogram, Integrals, type Part, RATE_SPAN, type Series } from "./integrals";
import { PlotFrame } from "./plot_frame";
import { axisOf } from "./scales";

const PERIOD = 2; // s
const MOST_PARTS = 200; // of one update

const CURVES = [
  ["I0", "I0 [counts nm^-1]", (series: Series) => series.i0],
  ["invariant I2", "I2 [counts nm^-3]", (series: Series) => series.i2],
  ["correlation length I1/I2", "I1/I2 [nm]", correlationLength],
] as const;

export class HistoryTab {
  readonly element = make("div", "saxs-history");
  private readonly integrals = new Integrals();
  private readonly masks = make("select", "saxs-input");
  private readonly first = number("First image");
  private readonly last = number("Last image");
  private readonly count = make("span", "saxs-counts");
  private readonly turn = make("button", "saxs-button", "Stop updates");
  private readonly remark = make("p", "saxs-problem");
  private readonly rateTitle = make("figcaption");
  private readonly rate: { readonly trace: Trace; readonly frame: PlotFrame };
  private readonly plots: readonly { readonly trace: Trace; readonly frame: PlotFrame }[];
  private isUpdating = true;
  private isAsking = false;
  private ticks = 0;

  constructor(
    private readonly detector: Device,
    private readonly isShown: () => boolean,
  ) {
    const { page } = detector;
    const bars: Trace = { ...traceOf("images", 0), type: "bars", width: 0 };
    this.rate = { trace: bars, frame: new PlotFrame(page, [bars], false) };
    this.plots = CURVES.map(([name], index) => {
      const trace = traceOf(name, index, "circles");
      return { trace, frame: new PlotFrame(page, [trace], true) };
    });
    this.masks.ariaLabel = "Curve";
    this.masks.addEventListener("change", () => this.draw());
    for (const input of [this.first, this.last]) input.addEventListener("input", () => this.draw());
    this.turn.addEventListener("click", () => {
      this.isUpdating = !this.isUpdating;
      this.turn.ariaPressed = String(!this.isUpdating);
      setText(this.turn, this.isUpdating ? "Stop updates" : "Start updates");
      if (this.isUpdating) this.look();
    });
    const csv = make("button", "saxs-button", "Export CSV");
    csv.addEventListener("click", () => this.exportCsv());
    this.remark.role = "alert";
    this.last.placeholder = "newest";
    const choices = [this.masks, labelled("from image", this.first), labelled("to", this.last)];
    const bar = make("div", "saxs-bar", ...choices, this.count, this.turn, csv);
    const figures = this.plots.map(({ frame }, index) =>
      make("figure", "saxs-plot", make("figcaption", "", CURVES[index]?.[0] ?? ""), frame.element),
    );
    const grid = make(
      "div",
      "saxs-grid",
      make("figure", "saxs-plot", this.rateTitle, this.rate.frame.element),
      ...figures,
    );
    this.element.append(bar, this.remark, grid);
    detector.watch("QueueStarted", () => this.integrals.clear());
    detector.everySecond(() => {
      if (++this.ticks % PERIOD === 0) this.look();
    });
    detector.onClose(() => {
      for (const { frame } of [this.rate, ...this.plots]) frame.close();
    });
  }

  /** Asks for what came since, when somebody looks. */
  readonly look = (): void => {
    if (!this.isUpdating || this.isAsking || document.hidden || !this.isShown()) return;
    this.isAsking = true;
    void this.ask()
      .then(
        () => setText(this.remark, ""),
        (error: unknown) => setText(this.remark, messageOf(error)),
      )
      .finally(() => {
        this.isAsking = false;
      });
  };

  private async ask(): Promise<void> {
    for (let part = 0; part < MOST_PARTS; part++) {
      const { since } = this.integrals;
      const found = await this.detector.ask<Part>("IntegralHistory", { since });
      if (this.detector.closed) return;
      const isComplete = this.integrals.take(found, since);
      this.draw();
      if (isComplete) return;
    }
  }

  private get chosen(): Series | undefined {
    return this.integrals.series.get(this.masks.value);
  }

  private draw(): void {
    this.drawMasks();
    const now = this.detector.page.pvs.now();
    const { at, counts, rate } = histogram(this.integrals.finished, now);
    setText(this.rateTitle, `image rate of the last ${RATE_SPAN} s: ${rate.toFixed(1)} images/s`);
    [this.rate.trace.xs, this.rate.trace.ys] = [at, counts];
    const most = Math.max(1, ...counts);
    const fixed = { ...axisOf("images in 2 s", "linear", 1), automatic: false, maximum: most * 1.1 };
    this.rate.frame.draw(axisOf("s before now", "linear", 1), fixed, () => [-RATE_SPAN, 0]);
    const series = this.chosen ?? { time: [], file: [], i0: [], i1: [], i2: [] };
    const total = series.time.length;
    const [from, to] = this.range(total);
    setText(this.count, `${Math.max(0, to - from + 1)} of ${total} images`);
    for (const [index, { trace, frame }] of this.plots.entries()) {
      const [, title = "", values] = CURVES[index] ?? [];
      trace.xs = series.time.slice(from - 1, to);
      trace.ys = values?.(series).slice(from - 1, to) ?? [];
      frame.draw(axisOf("image time", "linear", 1), axisOf(title, "linear", 1), () => wider(trace.xs));
    }
  }

  /** First and last image, counted from 1. */
  private range(total: number): readonly [number, number] {
    const from = Math.max(1, Math.floor(Number(this.first.value)) || 1);
    const to = Math.floor(Number(this.last.value)) || total;
    return [from, Math.min(to, total)];
  }

  private drawMasks(): void {
    const names = [...this.integrals.series.keys()];
    if (names.join() === [...this.masks.options].map(({ value }) => value).join()) return;
    const { value } = this.masks;
    this.masks.replaceChildren(...names.map((name) => new Option(name, name, false, name === value)));
  }

  private exportCsv(): void {
    const series = this.chosen;
    if (!series) return setText(this.remark, "no image has been integrated yet");
    const [from, to] = this.range(series.time.length);
    save(`integral-parameters-${this.masks.value}.csv`, csvOf(series, from, to), "text/csv");
  }
}

/** From the first to the last image and a little more: points at the frame would be cut. */
function wider(times: ArrayLike<number>): readonly [number, number] {
  const [low, high] = extent(times, false) ?? [0, 1];
  const room = (high - low) * 0.02 || 1;
  return [low - room, high + room];
}

function number(label: string): HTMLInputElement {
  const input = make("input", "saxs-input saxs-number");
  input.type = "number";
  input.min = "1";
  input.step = "1";
  input.ariaLabel = label;
  return input;
}

function labelled(text: string, input: HTMLElement): HTMLElement {
  return make("label", "saxs-labelled", text, input);
}
