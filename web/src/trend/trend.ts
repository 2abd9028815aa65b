// The page of trends: what PVs were, going on with what they are.

import { make } from "../dom";
import { messageOf } from "../faults";
import type { Page } from "../page";
import { readPast } from "../plot/past";
import { Bar } from "./bar";
import { Chart, MOST_AXES, unitsOf } from "./chart";
import { Curve } from "./curve";
import { takeTimeGestures } from "./gestures";
import { formatTrend, moved, type TrendQuery, zoomed } from "./query";

const SETTLED = 150; // ms without a movement until the history is asked
const REDRAW = 500; // ms
const MOST_PVS = 16;

export class Trend {
  readonly element = make("div", "trend");
  private readonly host = make("div", "trend-host");
  private readonly bar: Bar;
  private readonly curves = new Map<string, { readonly curve: Curve; readonly drop: () => void }>();
  private readonly remarks = new Map<string, string>();
  private readonly timer: ReturnType<typeof setInterval>;
  private chart: Chart | undefined;
  private layout = "";
  private asking: ReturnType<typeof setTimeout> | undefined;
  private asked = 0;
  private askedAt = 0;

  constructor(
    private readonly page: Page,
    private query: TrendQuery,
  ) {
    this.bar = new Bar({
      range: (span) => this.go({ ...this.query, span }),
      now: () => this.go({ ...this.query, to: undefined }),
      add: (pv) => this.go({ ...this.query, pvs: [...new Set([...this.query.pvs, pv])].slice(0, MOST_PVS) }),
      remove: (pv) => this.go({ ...this.query, pvs: this.query.pvs.filter((each) => each !== pv) }),
    });
    this.host.tabIndex = 0;
    this.host.role = "application";
    this.host.ariaLabel = "Trends: arrows move, + and - zoom, 0 is now";
    takeTimeGestures(this.host, {
      pan: (part) => this.go(moved(this.query, part, this.now)),
      zoom: (factor, at) => this.go(zoomed(this.query, factor, at, this.now)),
      now: () => this.go({ ...this.query, to: undefined }),
    });
    this.element.append(this.bar.element, this.host);
    this.go(query, 0);
    this.timer = setInterval(() => this.tick(), REDRAW);
  }

  close(): void {
    clearInterval(this.timer);
    clearTimeout(this.asking);
    this.asked++;
    this.chart?.close();
    for (const { drop } of this.curves.values()) drop();
  }

  private get now(): number {
    return this.page.pvs.now();
  }

  private window(): readonly [number, number] {
    const to = this.query.to ?? this.now;
    return [to - this.query.span, to];
  }

  private go(query: TrendQuery, delay = SETTLED): void {
    this.query = query;
    for (const [pv, { drop }] of this.curves)
      if (!query.pvs.includes(pv)) {
        drop();
        this.curves.delete(pv);
        this.remarks.delete(pv);
      }
    for (const pv of query.pvs) if (!this.curves.has(pv)) this.follow(pv);
    clearTimeout(this.asking);
    this.asking = setTimeout(() => this.ask(), delay);
    this.draw();
  }

  private follow(pv: string): void {
    const curve = new Curve(pv);
    const drop = this.page.pvs.subscribe(pv, (state) => curve.hear(state, this.now));
    this.curves.set(pv, { curve, drop });
  }

  private ask(): void {
    history.replaceState(null, "", formatTrend(this.query));
    const mine = ++this.asked;
    const [from, to] = this.window();
    this.askedAt = Date.now();
    for (const { curve } of this.curves.values())
      readPast(
        curve.pv,
        this.query.to === undefined ? { from: -this.query.span } : { from, to },
        this.host.clientWidth,
      ).then(
        (past) => {
          if (mine !== this.asked) return;
          curve.take(past);
          this.remarks.delete(curve.pv);
          this.draw();
        },
        (error: unknown) => {
          if (mine !== this.asked) return;
          this.remarks.set(curve.pv, messageOf(error));
          this.draw();
        },
      );
  }

  /** What came since is put together by the history now and then. */
  private tick(): void {
    if (this.query.to !== undefined) return;
    if (Date.now() - this.askedAt > Math.max(60_000, this.query.span * 100)) this.ask();
    this.draw();
  }

  private draw(): void {
    const curves = this.query.pvs.flatMap((pv) => this.curves.get(pv)?.curve ?? []);
    const units = unitsOf(curves);
    const layout = JSON.stringify(curves.map((curve) => [curve.pv, curve.unit, curve.labels]));
    if (layout !== this.layout || !this.chart) {
      this.layout = layout;
      this.chart?.close();
      this.chart = new Chart(
        this.page,
        curves,
        () => this.window(),
        () => this.now,
      );
      this.host.append(this.chart.element);
    }
    const remarks = new Map(this.remarks);
    for (const { pv, unit } of curves)
      if (!units.includes(unit)) remarks.set(pv, `not drawn: ${unit} would be a unit more than ${MOST_AXES}`);
    this.bar.draw(this.query, curves, ...this.window(), remarks);
    this.chart.draw();
  }
}
