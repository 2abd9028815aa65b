// A region with its statistics, or a line with its profile; the numbers come from the server, of all true pixels.

import { make, setText, svg } from "../dom";
import { messageOf } from "../faults";
import { formatNumber } from "../format";
import type { Message } from "../link";
import type { Rectangle, View } from "./streams";
import type { Viewport } from "./viewport";

export type Tool = "pan" | "region" | "line";
type Corner = readonly [x: number, y: number];

const BINS = 64;
const EVERY = 500;
const [WIDE, TALL] = [200, 60];

export class Measure {
  readonly overlay = svg("svg", { class: "marks" });
  readonly box = make("div", "measured");
  private readonly numbers = make("div", "numbers");
  private readonly graph = svg("svg", { viewBox: `0 0 ${WIDE} ${TALL}`, preserveAspectRatio: "none" });
  private readonly shape = svg("path", { class: "mark" });
  private tool: Tool = "pan";
  private from: Corner | undefined;
  private to: Corner | undefined;
  private asked = 0;
  private asking = false;

  constructor(private readonly view: () => View) {
    const close = make("button", "close", "×");
    close.ariaLabel = "End measuring";
    close.addEventListener("click", () => this.clear());
    this.box.append(close, this.numbers, this.graph);
    this.box.hidden = true;
    this.overlay.append(this.shape);
  }

  begin(tool: Tool, corner: Corner): void {
    this.tool = tool;
    this.from = this.to = corner;
  }

  /** Whole pixels; the last one is included. */
  drag(corner: Corner): void {
    this.to = corner;
  }

  clear(): void {
    this.from = this.to = undefined;
    this.box.hidden = true;
    this.shape.setAttribute("d", "");
  }

  get region(): Rectangle | undefined {
    if (!this.from || !this.to) return undefined;
    const [x, y] = [Math.min(this.from[0], this.to[0]), Math.min(this.from[1], this.to[1])];
    return { x, y, width: Math.abs(this.to[0] - this.from[0]) + 1, height: Math.abs(this.to[1] - this.from[1]) + 1 };
  }

  /** `ratio`: canvas pixels per pixel of the page. */
  draw(viewport: Viewport, ratio: number): void {
    if (!this.from || !this.to) return;
    const at = ([x, y]: Corner): string =>
      viewport
        .toCanvas(x, y)
        .map((each) => (each / ratio).toFixed(1))
        .join(" ");
    if (this.tool === "line") {
      const middle = ([x, y]: Corner): Corner => [x + 0.5, y + 0.5];
      this.shape.setAttribute("d", `M${at(middle(this.from))}L${at(middle(this.to))}`);
    } else {
      const { x, y, width, height } = this.region as Rectangle;
      this.shape.setAttribute(
        "d",
        `M${at([x, y])}L${at([x + width, y])}L${at([x + width, y + height])}L${at([x, y + height])}Z`,
      );
    }
  }

  /** Asks anew, but not more often than twice a second. */
  refresh(force = false): void {
    if (!this.from || !this.to || this.asking || (!force && performance.now() - this.asked < EVERY)) return;
    this.asked = performance.now();
    this.asking = true;
    const answer =
      this.tool === "line"
        ? this.view().profile(...this.from, ...this.to)
        : this.view().statistics(this.region as Rectangle, BINS);
    answer
      .then((message) => this.show(message))
      .catch((error: unknown) => this.say(messageOf(error)))
      .finally(() => (this.asking = false));
  }

  private say(text: string): void {
    setText(this.numbers, text);
    this.box.hidden = !this.from;
  }

  private show(message: Message): void {
    if (!this.from) return;
    const text = (value: unknown): string =>
      typeof value === "number" ? formatNumber(value, "default", undefined) : String(value);
    if (message.type === "statistics") {
      this.say(
        `${text(message.width)} × ${text(message.height)}, n ${text(message.count)}\n` +
          `mean ${text(message.mean)}  std ${text(message.std)}\nmin ${text(message.min)}  max ${text(message.max)}`,
      );
      this.bars(message.counts as number[]);
      for (const key of ["count", "min", "max", "mean", "std"]) this.box.dataset[key] = String(message[key]);
    } else {
      const values = (message.values as (number | null)[]).map((value) => value ?? Number.NaN);
      const known = values.filter((value) => !Number.isNaN(value));
      this.say(`line of ${values.length} pixels\nmin ${text(Math.min(...known))}  max ${text(Math.max(...known))}`);
      this.curve(values, Math.min(...known), Math.max(...known));
      this.box.dataset.values = values.join(",");
    }
  }

  private bars(counts: readonly number[]): void {
    // Logarithmic: the few bright pixels are what one looks for.
    const highest = Math.log1p(Math.max(1, ...counts));
    const width = WIDE / counts.length;
    const path = counts.map(
      (count, index) => `M${index * width} ${TALL}V${TALL - (Math.log1p(count) / highest) * TALL}h${width}V${TALL}`,
    );
    this.graph.replaceChildren(svg("path", { d: path.join(""), class: "bars" }));
  }

  private curve(values: readonly number[], low: number, high: number): void {
    let pen = "M";
    const path = values.map((value, index) => {
      if (Number.isNaN(value)) {
        pen = "M";
        return "";
      }
      const step = `${pen}${(index / Math.max(1, values.length - 1)) * WIDE} ${TALL - ((value - low) / (high - low || 1)) * TALL}`;
      pen = "L";
      return step;
    });
    this.graph.replaceChildren(svg("path", { d: path.join(""), class: "curve" }));
  }
}
