import { describe, expect, it } from "vitest";
import { parseSpan, Timeline } from "../src/plot/timeline";
import { held, nearest } from "../src/plot/nearest";
import { extent, type Trace } from "../src/plot/trace";
import { fraction, ticks } from "../src/widgets/scale";

describe("a strip chart", () => {
  it("keeps values in order of their time", () => {
    const line = new Timeline();
    for (const [time, value] of [
      [1, 10],
      [2, 20],
      [2, 99],
      [1.5, 99],
      [3, 30],
    ] as const)
      line.push(time, value);
    expect([line.times, line.values]).toEqual([
      [1, 2, 3],
      [10, 20, 30],
    ]);
  });

  it("has a gap while a PV is away, and goes on with the value that is there again", () => {
    const line = new Timeline();
    line.gap(1);
    line.push(2, 20, 2);
    line.gap(5);
    line.gap(6);
    line.push(4, 40, 8);
    expect([line.times, line.values]).toEqual([
      [2, 5, 8],
      [20, Number.NaN, 40],
    ]);
  });

  it("forgets the past, but not the value that still holds", () => {
    const line = new Timeline();
    for (let time = 0; time < 10; time++) line.push(time, time);
    line.cut(7.5);
    expect(line.times).toEqual([7, 8, 9]);
  });

  it.each([
    ["1 minute", 60],
    ["30 seconds", 30],
    ["-2 hours", 7200],
    ["1 hour 30 min", 5400],
    ["2 days", 172800],
  ])("%s are %d s", (text, seconds) => expect(parseSpan(text)).toBe(seconds));

  it("refuses a span that is none", () => expect(() => parseSpan("soon")).toThrow(/not a span/));
});

describe("scales", () => {
  it("have round ticks", () => {
    expect(ticks({ low: 0, high: 10, log: false }, 5)).toEqual([0, 2, 4, 6, 8, 10]);
    expect(ticks({ low: -0.3, high: 0.3, log: false }, 3)).toEqual([-0.2, 0, 0.2]);
    expect(ticks({ low: 0.01, high: 1000, log: true }, 8)).toEqual([0.01, 0.1, 1, 10, 100, 1000]);
  });

  it("find the place of a value", () => {
    expect(fraction(25, { low: 20, high: 40, log: false })).toBe(0.25);
    expect(fraction(10, { low: 1, high: 1000, log: true })).toBeCloseTo(1 / 3);
  });

  it("ignore what cannot be drawn", () => {
    expect(extent([Number.NaN, -1, 5, Number.POSITIVE_INFINITY], false)).toEqual([-1, 5]);
    expect(extent([0, -1, 5], true)).toEqual([5, 5]);
    expect(extent([0, -1], true)).toBeUndefined();
  });
});

describe("the cursor of a plot", () => {
  const trace = { xs: [0, 30, 50], ys: [1, 0, Number.NaN] } as unknown as Trace;

  it("reads the value that held, not the one that is next", () => {
    // A valve that was shut at 30 s was open at 29 s.
    expect([held(trace, 29), held(trace, 30), held(trace, 49)]).toEqual([0, 1, 1]);
    expect([held(trace, -1), held(trace, 60)]).toEqual([undefined, undefined]);
  });

  it("reads the nearest point of a line", () => expect([nearest(trace, 29), nearest(trace, 60)]).toEqual([1, 1]));
});
