// The curves of the newest image, live.

import { make, setText } from "../dom";
import { messageOf } from "../faults";
import { formatTime } from "../format";
import { type CurveData, CurvePlot } from "./curve_plot";
import type { Device } from "../device";
import { SCALES, type Scale } from "./scales";

interface Newest {
  readonly image?: string;
  readonly time?: number;
  readonly curves?: readonly CurveData[];
}

const PERIOD = 100; // ms from one question to the next, at least
const KEY = "saxs scales";

export class PlotsTab {
  readonly element = make("div", "saxs-plots");
  private readonly title = make("h2", "saxs-title", "No image yet");
  private readonly remark = make("p", "saxs-problem");
  private readonly grid = make("div", "saxs-grid");
  private readonly pause = make("button", "saxs-button", "Pause");
  private readonly plots: CurvePlot[] = [];
  private readonly scales: { x: Scale; y: Scale };
  private newest: Newest = {};
  private isPaused = false;
  private isAsking = false;
  private isWanted = true;
  private timer: ReturnType<typeof setTimeout> | undefined;

  constructor(
    private readonly detector: Device,
    private readonly isShown: () => boolean,
  ) {
    this.scales = kept();
    this.pause.addEventListener("click", () => {
      this.isPaused = !this.isPaused;
      this.pause.ariaPressed = String(this.isPaused);
      setText(this.pause, this.isPaused ? "Go on" : "Pause");
      this.want();
    });
    this.remark.role = "alert";
    const bar = make("div", "saxs-bar", this.choice("x"), this.choice("y"), this.pause, this.title);
    this.element.append(bar, this.remark, this.grid);
    for (const name of ["ImagesProcessed", "QueueStarted"]) detector.watch(name, () => this.want());
    document.addEventListener("visibilitychange", this.look);
    detector.onClose(() => {
      document.removeEventListener("visibilitychange", this.look);
      clearTimeout(this.timer);
      for (const plot of this.plots) plot.close();
    });
  }

  /** The tab is seen again. */
  readonly look = (): void => {
    if (this.isWanted) this.want();
  };

  private want(): void {
    this.isWanted = true;
    if (this.isPaused || this.isAsking || this.timer !== undefined || document.hidden || !this.isShown()) return;
    this.isWanted = false;
    this.isAsking = true;
    const began = performance.now();
    void this.ask().finally(() => {
      this.isAsking = false;
      if (this.detector.closed) return;
      this.timer = setTimeout(
        () => {
          this.timer = undefined;
          if (this.isWanted) this.want();
        },
        Math.max(0, PERIOD - (performance.now() - began)),
      );
    });
  }

  private async ask(): Promise<void> {
    try {
      const newest = await this.detector.ask<Newest>("NewestCurves");
      if (this.detector.closed || this.isPaused) return;
      setText(this.remark, "");
      this.newest = newest;
      this.draw();
    } catch (error) {
      setText(this.remark, messageOf(error));
    }
  }

  private draw(): void {
    const { image, time, curves = [] } = this.newest;
    setText(this.title, image ? `${image.split("/").at(-1)}   ${formatTime(time ?? Number.NaN)}` : "No image yet");
    this.title.title = image ?? "";
    for (const plot of this.plots.splice(curves.length)) plot.close();
    for (const [index, curve] of curves.entries()) {
      let plot = this.plots[index];
      if (!plot) {
        plot = this.plots[index] = new CurvePlot(this.detector.page, index);
        this.grid.append(plot.element);
      }
      plot.show(curve, this.scales.x, this.scales.y);
    }
  }

  private choice(axis: "x" | "y"): HTMLElement {
    const select = make("select", "saxs-input");
    select.ariaLabel = `${axis} axis`;
    for (const scale of SCALES)
      select.append(new Option(`${axis} ${scale}`, scale, false, scale === this.scales[axis]));
    select.addEventListener("change", () => {
      this.scales[axis] = SCALES.find((scale) => scale === select.value) ?? "linear";
      localStorage.setItem(KEY, `${this.scales.x} ${this.scales.y}`);
      this.draw();
    });
    return select;
  }
}

function kept(): { x: Scale; y: Scale } {
  const [x, y] = (localStorage.getItem(KEY) ?? "").split(" ");
  const known = (text: string | undefined, fallback: Scale): Scale => SCALES.find((each) => each === text) ?? fallback;
  return { x: known(x, "linear"), y: known(y, "symlog") };
}
