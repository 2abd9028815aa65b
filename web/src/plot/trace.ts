// Curves, points, bars and error bars on the canvas of a plot.

import type { Color } from "../color";

export interface Trace {
  readonly name: string;
  readonly color: Color;
  readonly width: number;
  readonly dash: string;
  /** none, line, step, error_bars, line_error_bars, bars. */
  readonly type: string;
  readonly point: string;
  readonly pointSize: number;
  /** Which y axis. */
  readonly axis: number;
  xs: ArrayLike<number>;
  ys: ArrayLike<number>;
  errors: ArrayLike<number> | undefined;
  /** Extremes and worst severities of what each point stands for. */
  lows?: ArrayLike<number>;
  highs?: ArrayLike<number>;
  severities?: ArrayLike<number>;
  /** Of an enumeration, by value. */
  labels?: readonly string[];
}

/** From values to canvas pixels. */
export interface Projection {
  x(value: number): number;
  y(value: number): number;
  /** Canvas pixels per pixel of the page. */
  readonly ratio: number;
  /** The lower edge of the plot, in canvas pixels. */
  readonly floor?: number;
}

const DASHES: Readonly<Record<string, readonly number[]>> = {
  dash: [8, 4],
  dot: [2, 3],
  dash_dot: [8, 3, 2, 3],
  dash_dot_dot: [8, 3, 2, 3, 2, 3],
};

export function lengthOf({ xs, ys }: Trace): number {
  return Math.min(xs.length, ys.length);
}

export function paintTrace(context: CanvasRenderingContext2D, trace: Trace, to: Projection, color: string): void {
  context.save();
  context.strokeStyle = context.fillStyle = color;
  context.lineWidth = Math.max(1, trace.width) * to.ratio;
  context.lineJoin = "round";
  context.setLineDash((DASHES[trace.dash] ?? []).map((each) => each * to.ratio));
  if (["line", "line_error_bars"].includes(trace.type)) paintLine(context, trace, to, false);
  if (trace.type === "step") paintLine(context, trace, to, true);
  if (trace.type === "bars") paintBars(context, trace, to);
  context.setLineDash([]);
  if (trace.type.endsWith("error_bars")) paintErrors(context, trace, to);
  if (trace.point !== "none") paintPoints(context, trace, to);
  context.restore();
}

/** Points that fall into one column of pixels become one vertical stroke: a million of them cost no more than the canvas. */
function paintLine(context: CanvasRenderingContext2D, trace: Trace, to: Projection, step: boolean): void {
  const count = lengthOf(trace);
  context.beginPath();
  let pen = false;
  let column = Number.NaN;
  let [low, high, last] = [0, 0, 0];
  const flush = (): void => {
    if (low === high) return;
    context.moveTo(column, low);
    context.lineTo(column, high);
    context.moveTo(column, last);
  };
  for (let index = 0; index < count; index++) {
    const x = Math.round(to.x(trace.xs[index] as number));
    const y = to.y(trace.ys[index] as number);
    if (!Number.isFinite(x) || !Number.isFinite(y)) {
      if (pen) flush();
      pen = false;
      column = Number.NaN;
      continue;
    }
    if (pen && x === column) {
      low = Math.min(low, y);
      high = Math.max(high, y);
      last = y;
      continue;
    }
    if (pen) {
      flush();
      if (step) context.lineTo(x, last);
      context.lineTo(x, y);
    } else context.moveTo(x, y);
    pen = true;
    column = x;
    low = high = last = y;
  }
  if (pen) flush();
  context.stroke();
}

function paintBars(context: CanvasRenderingContext2D, trace: Trace, to: Projection): void {
  const count = lengthOf(trace);
  const zero = to.y(0);
  const base = Number.isFinite(zero) ? zero : context.canvas.height;
  for (let index = 0; index < count; index++) {
    const at = trace.xs[index] as number;
    const neighbour = trace.xs[index + 1 < count ? index + 1 : index - 1] ?? at + 1;
    const room = Math.abs(to.x(neighbour) - to.x(at));
    // Width 0 means a histogram: bars that touch.
    const width = trace.width > 0 ? trace.width * to.ratio : Math.max(1, room);
    const y = to.y(trace.ys[index] as number);
    context.fillRect(to.x(at) - width / 2, Math.min(y, base), width, Math.abs(base - y));
  }
}

function paintErrors(context: CanvasRenderingContext2D, trace: Trace, to: Projection): void {
  const { errors } = trace;
  if (!errors) return;
  const cap = 3 * to.ratio;
  context.beginPath();
  for (let index = 0; index < Math.min(lengthOf(trace), errors.length); index++) {
    const x = to.x(trace.xs[index] as number);
    const [value, error] = [trace.ys[index] as number, errors[index] as number];
    const [top, low] = [to.y(value + error), to.y(value - error)];
    // Below zero a logarithmic axis has no place: the bar goes down to the frame.
    const bottom = Number.isFinite(low) ? low : context.canvas.height;
    context.moveTo(x, top);
    context.lineTo(x, bottom);
    for (const end of [top, bottom]) {
      context.moveTo(x - cap, end);
      context.lineTo(x + cap, end);
    }
  }
  context.stroke();
}

function paintPoints(context: CanvasRenderingContext2D, trace: Trace, to: Projection): void {
  const half = (trace.pointSize / 2) * to.ratio;
  for (let index = 0; index < lengthOf(trace); index++) {
    const [x, y] = [to.x(trace.xs[index] as number), to.y(trace.ys[index] as number)];
    if (!Number.isFinite(x) || !Number.isFinite(y)) continue;
    context.beginPath();
    switch (trace.point) {
      case "squares":
        context.rect(x - half, y - half, 2 * half, 2 * half);
        break;
      case "circles":
        context.arc(x, y, half, 0, 2 * Math.PI);
        break;
      case "x_marks":
        context.moveTo(x - half, y - half);
        context.lineTo(x + half, y + half);
        context.moveTo(x + half, y - half);
        context.lineTo(x - half, y + half);
        context.stroke();
        continue;
      case "diamonds":
        polygon(context, x, y, half, 4);
        break;
      default:
        polygon(context, x, y, half, 3);
    }
    context.fill();
  }
}

function polygon(context: CanvasRenderingContext2D, x: number, y: number, half: number, corners: number): void {
  for (let corner = 0; corner < corners; corner++) {
    const angle = (2 * Math.PI * corner) / corners - Math.PI / 2;
    context.lineTo(x + half * Math.cos(angle), y + half * Math.sin(angle));
  }
  context.closePath();
}

/** Lowest and highest finite value; only positive ones where `log`. */
export function extent(values: ArrayLike<number>, log: boolean): readonly [number, number] | undefined {
  let [low, high] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (let index = 0; index < values.length; index++) {
    const value = values[index] as number;
    if (!Number.isFinite(value) || (log && value <= 0)) continue;
    if (value < low) low = value;
    if (value > high) high = value;
  }
  return low <= high ? [low, high] : undefined;
}
