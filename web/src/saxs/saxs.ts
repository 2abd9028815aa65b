// The panel of a SAXS detector: calibration and queue, curves, history, consolidation.

import { make, setText } from "../dom";
import { messageOf } from "../faults";
import type { Page } from "../page";
import { formatPv, PLAIN } from "../format";
import { CalibrationTab } from "./calibration";
import { ConsolidateTab } from "./consolidate";
import { Detector } from "./detector";
import { HistoryTab } from "./history";
import { PlotsTab } from "./plots";
import { formatSaxs, type SaxsQuery, type TabName, TABS } from "./query";
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
  private readonly detector: Detector;
  private readonly tabs = new Map<TabName, HTMLButtonElement>();
  private readonly bodies = new Map<TabName, HTMLElement>();
  private readonly looks = new Map<TabName, () => void>();
  private readonly problem = make("p", "saxs-problem");
  private tab: TabName;
  private timer: ReturnType<typeof setTimeout> | undefined;

  constructor(
    page: Page,
    private readonly query: SaxsQuery,
  ) {
    this.tab = query.tab;
    this.detector = new Detector(page, query.prefix);
    history.replaceState(null, "", formatSaxs(query));
    const bar = make("div", "saxs-tabs");
    bar.role = "tablist";
    for (const name of TABS) {
      const tab = make("button", "saxs-tab", TITLES[name]);
      tab.role = "tab";
      tab.id = `saxs-tab-${name}`;
      tab.addEventListener("click", () => this.go(name));
      tab.addEventListener("keydown", (event) => this.step(event, name));
      this.tabs.set(name, tab);
      bar.append(tab);
      const body = make("section", "saxs-body");
      body.role = "tabpanel";
      body.setAttribute("aria-labelledby", tab.id);
      this.bodies.set(name, body);
    }
    const state = make("span", "saxs-device");
    this.detector.watch("State", (pv) => {
      state.dataset.sev = pv.connected ? pv.severity : "DISCONNECTED";
      setText(state, pv.connected ? formatPv(pv, PLAIN) : "not connected");
    });
    this.detector.watch("Status", (pv) => (state.title = pv.connected ? formatPv(pv, PLAIN) : pv.reason));
    const panel = make("a", "", "Image and readings");
    panel.href = `#/saxs?P=${encodeURIComponent(query.prefix)}`;
    bar.append(make("span", "saxs-links", state, panel));
    this.problem.role = "alert";
    this.element.append(bar, this.problem, ...this.bodies.values());
    const plots = new PlotsTab(this.detector, () => this.tab === "plots");
    const past = new HistoryTab(this.detector, () => this.tab === "history");
    this.bodies.get("plots")?.append(plots.element);
    this.bodies.get("history")?.append(past.element);
    this.looks.set("plots", plots.look).set("history", past.look);
    this.go(query.tab);
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
      this.bodies.get("calibration")?.append(new CalibrationTab(detector, calibration, this.query.given).element);
      this.bodies.get("consolidate")?.append(consolidate.element);
      this.looks.set("consolidate", consolidate.look);
      setText(this.problem, "");
      this.go(this.tab);
    } catch (error) {
      if (detector.closed) return;
      setText(this.problem, `${detector.prefix}: ${messageOf(error)}`);
      this.timer = setTimeout(() => void this.begin(), RETRY);
    }
  }

  private get isComplete(): boolean {
    return this.bodies.get("calibration")?.childElementCount !== 0;
  }

  private go(name: TabName): void {
    this.tab = name;
    for (const each of TABS) {
      const tab = this.tabs.get(each);
      if (tab) {
        tab.ariaSelected = String(each === name);
        tab.tabIndex = each === name ? 0 : -1;
      }
      const body = this.bodies.get(each);
      if (body) body.hidden = each !== name;
    }
    history.replaceState(null, "", formatSaxs({ prefix: this.query.prefix, tab: name }));
    this.looks.get(name)?.();
  }

  private step(event: KeyboardEvent, name: TabName): void {
    const by = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!by) return;
    event.preventDefault();
    const next = TABS[(TABS.indexOf(name) + by + TABS.length) % TABS.length] ?? name;
    this.go(next);
    this.tabs.get(next)?.focus();
  }
}
