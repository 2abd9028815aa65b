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

/** Each point's extremes hold until the next point. */
export function paintBand(context: CanvasRenderingContext2D, trace: Trace, to: Projection, color: string): void {
  const { xs, lows, highs } = trace;
  if (!lows || !highs) return;
  context.save();
  context.globalAlpha = OPACITY;
  context.fillStyle = color;
  // One path: where two points share a column it is not painted twice.
  context.beginPath();
  for (let index = 0; index + 1 < lengthOf(trace); index++) {
    const [low, top] = [lows[index] as number, to.y(highs[index] as number)];
    const place = to.y(low);
    // Zero and less have no place on a logarithmic axis: the band goes down to the frame.
    const bottom = Number.isFinite(place) || Number.isNaN(low) ? place : (to.floor ?? context.canvas.height);
    if (!(bottom > top)) continue;
    const left = Math.round(to.x(xs[index] as number));
    const right = Math.round(to.x(xs[index + 1] as number));
    context.rect(left, top, Math.max(1, right - left), bottom - top);
  }
  context.fill();
  context.restore();
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
