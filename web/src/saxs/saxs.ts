// The panel of a SAXS detector: calibration and queue, curves, history, consolidation.

import { Device } from "../device";
import { make, setText } from "../dom";
import { messageOf } from "../faults";
import type { Page } from "../page";
import { TabBar } from "../tab_bar";
import { CalibrationTab } from "./calibration";
import { ConsolidateTab } from "./consolidate";
import { HistoryTab } from "./history";
import { PlotsTab } from "./plots";
import { formatSaxs, type SaxsQuery, type TabName } from "./query";
import type { Schema } from "./schema";

const TITLES: Readonly<Record<TabName, string>> = {
  calibration: "Calibration",
  plots: "Plots",
  history: "History",
  consolidate: "Consolidate",
};
const RETRY = 2000; // ms

export class SaxsPage {
  readonly element = make("div", "saxs");
  private readonly detector: Device;
  private readonly bar: TabBar<TabName>;
  private readonly looks = new Map<TabName, () => void>();
  private readonly problem = make("p", "saxs-problem");
  private tab: TabName;
  private timer: ReturnType<typeof setTimeout> | undefined;

  constructor(
    page: Page,
    private readonly query: SaxsQuery,
  ) {
    this.tab = query.tab;
    this.detector = new Device(page, query.prefix);
    history.replaceState(null, "", formatSaxs(query));
    const panel = make("a", "", "Image and readings");
    panel.href = `#/saxs?P=${encodeURIComponent(query.prefix)}`;
    this.bar = new TabBar(TITLES, this.detector, panel, (name) => this.shown(name));
    this.problem.role = "alert";
    this.element.append(this.bar.element, this.problem, ...this.bar.all);
    const plots = new PlotsTab(this.detector, () => this.tab === "plots");
    const past = new HistoryTab(this.detector, () => this.tab === "history");
    this.bar.body("plots").append(plots.element);
    this.bar.body("history").append(past.element);
    this.looks.set("plots", plots.look).set("history", past.look);
    this.bar.show(query.tab);
    this.detector.onClose(page.pvs.watch(() => void this.begin()));
    void this.begin();
  }

  close(): void {
    clearTimeout(this.timer);
    this.detector.close();
  }

  /** The forms come when the device has said what is in them. */
  private async begin(): Promise<void> {
    clearTimeout(this.timer);
    const { detector } = this;
    if (detector.closed || !detector.page.pvs.server.token || this.isComplete) return;
    try {
      const calibration = await detector.ask<Schema>("CalibrationSchema");
      const merge = await detector.ask<Schema>("MergeSchema");
      if (detector.closed || this.isComplete) return;
      const consolidate = new ConsolidateTab(detector, merge);
      this.bar.body("calibration").append(new CalibrationTab(detector, calibration, this.query.given).element);
      this.bar.body("consolidate").append(consolidate.element);
      this.looks.set("consolidate", consolidate.look);
      setText(this.problem, "");
      this.bar.show(this.tab);
    } catch (error) {
      if (detector.closed) return;
      setText(this.problem, `${detector.prefix}: ${messageOf(error)}`);
      this.timer = setTimeout(() => void this.begin(), RETRY);
    }
  }

  private get isComplete(): boolean {
    return this.bar.body("calibration").childElementCount !== 0;
  }

  private shown(name: TabName): void {
    this.tab = name;
    history.replaceState(null, "", formatSaxs({ prefix: this.query.prefix, tab: name }));
    this.looks.get(name)?.();
  }
}
