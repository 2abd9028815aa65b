// The integral parameters of a queue's images, collected in parts; what stands for them in a table.

export interface Part {
  readonly finished: readonly number[];
  readonly series: Readonly<Record<string, PartOfSeries>>;
}

export interface PartOfSeries {
  readonly count: number;
  readonly time: readonly number[];
  readonly file: readonly string[];
  readonly i0: readonly (number | null)[];
  readonly i1: readonly (number | null)[];
  readonly i2: readonly (number | null)[];
}

export interface Series {
  readonly time: number[];
  readonly file: string[];
  readonly i0: number[];
  readonly i1: number[];
  readonly i2: number[];
}

export const RATE_SPAN = 100; // s

export class Integrals {
  readonly series = new Map<string, Series>();
  finished: readonly number[] = [];

  /** From which image on the device is asked: the last known one is asked again, to see that it is still the same. */
  get since(): number {
    const lengths = [...this.series.values()].map(({ time }) => time.length);
    return lengths.length ? Math.max(0, Math.min(...lengths) - 1) : 0;
  }

  /** Takes an answer to a question from `since` on; false when there is more, or the queue has begun anew. */
  take(part: Part, since: number): boolean {
    this.finished = part.finished;
    for (const name of this.series.keys()) if (!part.series[name]) this.series.delete(name);
    let isComplete = true;
    for (const [name, found] of Object.entries(part.series)) {
      const known = this.series.get(name) ?? { time: [], file: [], i0: [], i1: [], i2: [] };
      const overlap = known.time.length > since;
      const isSame = !overlap || (found.time[0] === known.time[since] && found.file[0] === known.file[since]);
      if (found.count < known.time.length || known.time.length < since || !isSame) {
        this.series.clear();
        return false;
      }
      known.time.splice(since, Number.POSITIVE_INFINITY, ...found.time);
      known.file.splice(since, Number.POSITIVE_INFINITY, ...found.file);
      for (const key of ["i0", "i1", "i2"] as const)
        known[key].splice(since, Number.POSITIVE_INFINITY, ...found[key].map((value) => value ?? Number.NaN));
      this.series.set(name, known);
      if (known.time.length < found.count) isComplete = false;
    }
    return isComplete;
  }

  clear(): void {
    this.series.clear();
    this.finished = [];
  }
}

export function correlationLength({ i1, i2 }: Pick<Series, "i1" | "i2">): number[] {
  return i1.map((value, index) => value / (i2[index] ?? Number.NaN));
}

/** Images in bins of `width` s, the newest last; `at` are the middles of the bins, s before `now`. */
export function histogram(
  finished: readonly number[],
  now: number,
  width = 2,
): { readonly at: number[]; readonly counts: number[]; readonly rate: number } {
  const bins = RATE_SPAN / width;
  const counts = new Array<number>(bins).fill(0);
  for (const time of finished) {
    // What was done in this instant, by a clock that is a little ahead, belongs to the newest bin.
    const bin = bins - 1 - Math.max(0, Math.floor((now - time) / width));
    if (bin >= 0) counts[bin] = (counts[bin] ?? 0) + 1;
  }
  const at = counts.map((_, bin) => (bin + 0.5) * width - RATE_SPAN);
  // Of the last 10 s: long enough to be steady, short enough to tell of a stop.
  const lately = finished.filter((time) => now - time < 10).length;
  return { at, counts, rate: lately / 10 };
}

/** A line for each image from the first to the last one, counted from 1. */
export function csvOf(series: Series, first: number, last: number): string {
  const rows = ["time,time_s,file,I0,I1,I2,correlation_length_nm"];
  const lengths = correlationLength(series);
  for (let index = first - 1; index < Math.min(last, series.time.length); index++) {
    const time = series.time[index] ?? Number.NaN;
    const file = series.file[index] ?? "";
    const numbers = [series.i0[index], series.i1[index], series.i2[index], lengths[index]];
    rows.push(
      [
        new Date(time * 1000).toISOString(),
        time.toFixed(3),
        /[",\n]/.test(file) ? `"${file.replaceAll('"', '""')}"` : file,
        ...numbers.map((value) => (value === undefined || !Number.isFinite(value) ? "" : String(value))),
      ].join(","),
    );
  }
  return `${rows.join("\n")}\n`;
}
