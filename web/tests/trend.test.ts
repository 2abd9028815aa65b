import { describe, expect, it } from "vitest";
import type { Past } from "../src/plot/past";
import type { Trace } from "../src/plot/trace";
import { Pv } from "../src/pv";
import { Curve } from "../src/trend/curve";
import { formatTrend, moved, parseTrend, type TrendQuery, zoomed } from "../src/trend/query";

const NOW = 10_000;
const LIVE: TrendQuery = { pvs: ["A:T"], span: 600, to: undefined };

describe("the address of trends", () => {
  it("is read back as it was made", () => {
    const query = { pvs: ["A:T", "B:V&x"], span: 3600, to: 1795266000.25 };
    expect(parseTrend(formatTrend(query))).toEqual(query);
    expect(parseTrend(formatTrend(LIVE))).toEqual(LIVE);
  });

  it("is no panel's, and bears nonsense", () => {
    expect(parseTrend("#/overview?pv=A")).toBeUndefined();
    expect(parseTrend("#/trend?pv=A&pv=A&span=-3&to=soon")).toEqual({ pvs: ["A"], span: 600, to: undefined });
  });
});

describe("moving in time", () => {
  it("goes into the past, and with the time again at its right edge", () => {
    const past = moved(LIVE, -0.5, NOW);
    expect(past.to).toBe(9700);
    expect(moved(past, 0.25, NOW).to).toBe(9850);
    expect(moved(past, 0.75, NOW).to).toBeUndefined();
  });

  it("keeps the time under the cursor", () => {
    const wider = zoomed({ ...LIVE, to: 6000 }, 2, 0.25, NOW);
    // 5550 s was a quarter from the left, and is.
    expect([(wider.to ?? 0) - wider.span, wider.to]).toEqual([5250, 6450]);
    expect(zoomed(LIVE, 0.5, 0.25, NOW)).toEqual({ ...LIVE, span: 300 });
  });
});

describe("a curve", () => {
  const past: Past = {
    pv: "A:T",
    unit: "K",
    labels: [],
    width: 10,
    time: [100, 110, 120],
    low: [1, 2, null],
    high: [3, 8, null],
    mean: [2, 5, null],
    last: [3, 2, null],
    severity: [0, 2, 3],
    connected: [true, false, false],
  };
  const trace = { xs: [], ys: [] } as unknown as Trace;
  const heard = (value: number, seconds: number): Pv => {
    const pv = new Pv("A:T", 0);
    pv.merge({ value, seconds, severity: "MINOR", connected: true }, 0);
    return pv;
  };

  it("is the past and then the present, with gaps where nobody knew", () => {
    const curve = new Curve("A:T");
    curve.hear(heard(90, 90), 131);
    curve.hear(heard(7, 130), 131);
    curve.take(past);
    curve.fill(trace, 135);
    expect(trace.xs).toEqual([100, 110, 115, 120, 130, 135]);
    expect(trace.ys).toEqual([2, 5, Number.NaN, Number.NaN, 7, 7]);
    expect(trace.lows).toEqual([1, 2, Number.NaN, Number.NaN, 7, 7]);
    expect(trace.highs).toEqual([3, 8, Number.NaN, Number.NaN, 7, 7]);
    expect(trace.severities).toEqual([0, 2, 2, 3, 1, 1]);
  });

  it("ends where its PV was lost", () => {
    const curve = new Curve("A:T");
    curve.hear(heard(7, 130), 131);
    const lost = heard(7, 130);
    lost.disconnect("gone", 140);
    curve.hear(lost, 140);
    curve.fill(trace, 150);
    expect([trace.xs, trace.ys]).toEqual([
      [130, 140],
      [7, Number.NaN],
    ]);
  });
});
