import { describe, expect, it } from "vitest";
import { curveOf, historyUrl, type Past } from "../src/plot/past";
import { Timeline } from "../src/plot/timeline";

const SAMPLES: Past = {
  pv: "T",
  unit: "K",
  labels: [],
  width: 0,
  time: [10, 20, 30],
  low: [1, null, 3],
  high: [1, null, 3],
  mean: [1, null, 3],
  last: [1, null, 3],
  severity: [0, 3, 0],
  connected: [true, false, true],
};

describe("the past of a curve", () => {
  it("has a gap where nobody knew the value", () =>
    expect(curveOf(SAMPLES)).toEqual({ times: [10, 20, 30], values: [1, Number.NaN, 3] }));

  it("ends where the present begins", () => expect(curveOf(SAMPLES, 30).times).toEqual([10, 20]));

  it("shows the extremes of many samples, and that the PV was lost among them", () => {
    const past = { ...SAMPLES, width: 10, low: [1, null, 2], high: [5, null, 9], connected: [true, false, false] };
    expect(curveOf(past)).toEqual({
      times: [10, 10, 10, 20, 30, 30, 30, 30],
      values: [1, 5, 1, Number.NaN, 2, 9, 3, Number.NaN],
    });
  });

  it("goes before what came since", () => {
    const line = new Timeline();
    line.push(30, 3.5);
    const { times, values } = curveOf(SAMPLES, line.times[0]);
    line.prepend(times, values);
    expect([line.times, line.values]).toEqual([
      [10, 20, 30],
      [1, Number.NaN, 3.5],
    ]);
  });

  it("is asked for by name and time", () =>
    expect(historyUrl("hist", ["A:B"], { from: -600 }, 499.6)).toBe("hist?pv=A%3AB&from=-600&points=500"));
});
