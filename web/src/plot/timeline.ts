// The recent values of one PV.

/** Times and values in two arrays that are cut at the front now and then, not at every value. */
export class Timeline {
  times: number[] = [];
  values: number[] = [];

  /**
   * A time that is not newer than the last one is dropped: the same value came again. After a gap the value that is there
   * again may be old: it holds from `now` on.
   */
  push(time: number, value: number, now = time): void {
    const last = this.times.at(-1) ?? Number.NEGATIVE_INFINITY;
    const at = time <= last && this.inGap ? now : time;
    if (at > last) this.add(at, value);
  }

  /** From `now` on the value is not known. */
  gap(now: number): void {
    if (this.times.length && !this.inGap) this.add(Math.max(now, this.times.at(-1) as number), Number.NaN);
  }

  /** Puts what was before in front; all of it is older than the first value here. */
  prepend(times: readonly number[], values: readonly number[]): void {
    this.times = [...times, ...this.times];
    this.values = [...values, ...this.values];
  }

  private get inGap(): boolean {
    return Number.isNaN(this.values.at(-1) ?? 0);
  }

  private add(time: number, value: number): void {
    this.times.push(time);
    this.values.push(value);
  }

  /** Forgets what is older than `time`, except the value that still held then. */
  cut(time: number): void {
    let old = 0;
    while (old + 1 < this.times.length && (this.times[old + 1] as number) < time) old++;
    if (old < 256 && old < this.times.length / 2) return;
    this.times = this.times.slice(old);
    this.values = this.values.slice(old);
  }
}

const UNITS: Readonly<Record<string, number>> = {
  second: 1,
  sec: 1,
  s: 1,
  minute: 60,
  min: 60,
  m: 60,
  hour: 3600,
  h: 3600,
  day: 86400,
  d: 86400,
};

/** Seconds of a span such as "1 minute", "-2 hours", "1 h 30 min". */
export function parseSpan(text: string): number {
  const parts = [...text.matchAll(/([\d.]+)\s*([a-z]+?)s?\b/gi)];
  const seconds = parts.reduce(
    (sum, [, count, unit]) => sum + Number(count) * (UNITS[(unit ?? "").toLowerCase()] ?? Number.NaN),
    0,
  );
  if (!(seconds > 0)) throw new Error(`"${text}" is not a span of time such as "10 minutes"`);
  return seconds;
}
