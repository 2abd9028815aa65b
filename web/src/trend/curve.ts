// One PV on the page of trends: the points of the history, and behind them the values that came since.

import type { Past } from "../plot/past";
import type { Trace } from "../plot/trace";
import type { Pv, Severity } from "../pv";

interface Point {
  readonly time: number;
  /** NaN: not known. */
  readonly value: number;
  readonly low: number;
  readonly high: number;
  readonly severity: number;
}

const RANK: readonly Severity[] = ["NONE", "MINOR", "MAJOR", "INVALID"];

export class Curve {
  unit = "";
  labels: readonly string[] = [];
  private past: readonly Point[] = [];
  private live: Point[] = [];
  private holds = false;

  constructor(readonly pv: string) {}

  /** What came since stays, behind it. */
  take(past: Past): void {
    this.unit = past.unit;
    this.labels = past.labels;
    this.past = pointsOf(past);
    const end = this.past.at(-1)?.time ?? Number.NEGATIVE_INFINITY;
    const since = this.live.findIndex((point) => point.time > end);
    // The one before still holds.
    this.live = this.live.slice(Math.max(0, (since < 0 ? this.live.length : since) - 1));
  }

  /** The state of the PV now. */
  hear(pv: Pv, now: number): void {
    this.unit ||= pv.units;
    if (!this.labels.length) this.labels = pv.labels;
    this.holds = pv.connected && pv.value !== undefined;
    const last = this.live.at(-1);
    if (!this.holds) {
      if (last && !Number.isNaN(last.value)) this.live.push(single(Math.max(now, last.time), Number.NaN, 3));
      return;
    }
    const time = last && Number.isNaN(last.value) ? now : (pv.time ?? now);
    if (time > (last?.time ?? Number.NEGATIVE_INFINITY))
      this.live.push(single(time, pv.number, Math.max(0, RANK.indexOf(pv.severity))));
  }

  /** Puts all points into the trace; the last value holds until `now`, as long as it is known to. */
  fill(trace: Trace, now: number): void {
    const end = this.past.at(-1)?.time ?? Number.NEGATIVE_INFINITY;
    const points = [...this.past, ...this.live.filter((point) => point.time > end)];
    const last = points.at(-1);
    if (this.holds && last && last.time < now) points.push({ ...last, time: now });
    trace.xs = points.map((point) => point.time);
    trace.ys = points.map((point) => point.value);
    trace.lows = points.map((point) => point.low);
    trace.highs = points.map((point) => point.high);
    trace.severities = points.map((point) => point.severity);
  }
}

function single(time: number, value: number, severity: number): Point {
  return { time, value, low: value, high: value, severity };
}

function pointsOf(past: Past): readonly Point[] {
  return past.time.flatMap((time, index) => {
    const number = (column: readonly (number | null)[]): number => column[index] ?? Number.NaN;
    const severity = past.severity[index] ?? 0;
    // Of an enumeration there is no mean.
    const value = number(past.width > 0 && !past.labels.length ? past.mean : past.last);
    const known = { time, value, low: number(past.low), high: number(past.high), severity };
    if (past.connected[index] || Number.isNaN(value)) return [known];
    // It was lost at some time in between.
    return [known, single(time + past.width / 2, Number.NaN, severity)];
  });
}
