// Behind a curve: the band between the extremes of many samples; below the curves, when severities were not NO_ALARM.

import { lengthOf, type Projection, type Trace } from "./trace";

const OPACITY = 0.25;
const ROW = 8;
/** By severity; wide bars are the worse ones: nobody has to see colours. */
const MARKS = [
  undefined,
  { color: "rgb(255 128 0)", height: 2 },
  { color: "rgb(255 0 0)", height: 5 },
  { color: "rgb(255 0 255)", height: 7 },
] as const;

/** Each point's extremes hold until the next point; those of a line lie on both sides of it. */
export function paintBand(context: CanvasRenderingContext2D, trace: Trace, to: Projection, color: string): void {
  const { xs, lows, highs } = trace;
  if (!lows || !highs) return;
  context.save();
  context.globalAlpha = OPACITY;
  context.fillStyle = color;
  if (trace.type === "line") {
    ribbon(context, trace, to);
    context.restore();
    return;
  }
  // One path: where two points share a column it is not painted twice.
  context.beginPath();
  for (let index = 0; index + 1 < lengthOf(trace); index++) {
    const [bottom, top] = [to.y(lows[index] as number), to.y(highs[index] as number)];
    if (!(bottom > top)) continue;
    const left = Math.round(to.x(xs[index] as number));
    const right = Math.round(to.x(xs[index + 1] as number));
    context.rect(left, top, Math.max(1, right - left), bottom - top);
  }
  context.fill();
  context.restore();
}

/** A closed path for each run of points that have extremes. */
function ribbon(context: CanvasRenderingContext2D, trace: Trace, to: Projection): void {
  const { xs, lows = [], highs = [] } = trace;
  context.beginPath();
  let run: (readonly [x: number, bottom: number])[] = [];
  const close = (): void => {
    for (const [x, bottom] of run.reverse()) context.lineTo(x, bottom);
    if (run.length) context.closePath();
    run = [];
  };
  for (let index = 0; index < lengthOf(trace); index++) {
    const [x, low, top] = [to.x(xs[index] as number), lows[index] as number, to.y(highs[index] as number)];
    const place = to.y(low);
    // Zero and less have no place on a logarithmic axis: the band goes down to the frame.
    const bottom = Number.isFinite(place) ? place : (to.floor ?? context.canvas.height);
    if (!Number.isFinite(x) || !Number.isFinite(top) || Number.isNaN(low)) {
      close();
      continue;
    }
    if (run.length) context.lineTo(x, top);
    else context.moveTo(x, top);
    run.push([x, bottom]);
  }
  close();
  context.fill();
}

/** One row of marks for each trace, from `floor` upwards. */
export function paintSeverities(
  context: CanvasRenderingContext2D,
  trace: Trace,
  to: Projection,
  row: number,
  floor: number,
): void {
  const { xs, severities } = trace;
  if (!severities) return;
  const bottom = floor - row * ROW * to.ratio;
  for (let index = 0; index + 1 < lengthOf(trace); index++) {
    const mark = MARKS[severities[index] as number];
    if (!mark) continue;
    const left = to.x(xs[index] as number);
    const height = mark.height * to.ratio;
    context.fillStyle = mark.color;
    context.fillRect(left, bottom - height, Math.max(1, to.x(xs[index + 1] as number) - left), height);
  }
}
