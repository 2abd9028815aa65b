// The page: the panel of the address, drawn as large as the window takes it.

import "./style";
import { AlarmPage } from "./alarms/alarms";
import { parseAddress } from "./address";
import { setLogin } from "./alarms/person";
import { CcdPage } from "./ccd/ccd";
import { type CcdQuery, parseCcd } from "./ccd/query";
import { css } from "./color";
import { make } from "./dom";
import { collectFaults, messageOf, report } from "./faults";
import { Head } from "./head";
import { LogPage } from "./log/log";
import { type LogQuery, parseLog } from "./log/query";
import { Page } from "./page";
import { readPanel, sheet, showWidgets, type Size, sizeOf } from "./panel";
import { parseSaxs, type SaxsQuery } from "./saxs/query";
import { SaxsPage } from "./saxs/saxs";
import { parseTrend, type TrendQuery } from "./trend/query";
import { Trend } from "./trend/trend";

collectFaults();

const LARGEST_SCALE = 2;
const SMALLEST_SCALE = 0.25;
const ALARMS = /^#\/?alarm-table$/;

const page = new Page();
const head = new Head(page);
const main = document.body.appendChild(make("main", "stage"));
let close: () => void = () => undefined;
/** undefined: what is shown takes what room there is. */
let size: Size | undefined;
let shown = 0;

/** Fits the width; grows only as far as the height is seen, too. */
function scale(): void {
  if (!size) return main.style.setProperty("--s", "1");
  const width = main.clientWidth / size.width;
  const height = (window.innerHeight - main.offsetTop) / size.height;
  const fitted = width < 1 ? width : Math.max(1, Math.min(width, height, LARGEST_SCALE));
  main.style.setProperty("--s", String(Math.max(SMALLEST_SCALE, fitted)));
}

async function show(): Promise<void> {
  const mine = ++shown;
  try {
    const trend = parseTrend(location.hash);
    if (trend) return showTrend(trend);
    if (ALARMS.test(location.hash)) return showAlarms();
    const log = parseLog(location.hash);
    if (log) return showLog(log);
    const saxs = parseSaxs(location.hash);
    if (saxs) return showSaxs(saxs);
    const ccd = parseCcd(location.hash);
    if (ccd) return showCcd(ccd);
    const { file, macros } = parseAddress(location.hash);
    const panel = { page, file, depth: 0 };
    const model = await readPanel(panel, macros);
    if (mine !== shown) return;
    clear();
    size = sizeOf(model);
    head.name(model.properties.text("name") || file);
    const host = sheet(size);
    host.dataset.panel = file;
    main.style.backgroundColor = css(model.properties.color("background_color"));
    main.append(host);
    scale();
    close = showWidgets(model.widgets, host, panel);
  } catch (error) {
    if (mine !== shown) return;
    clear();
    report("panel", error);
    head.name("");
    const box = make("div", "no-panel", make("h2", "", "This panel cannot be shown"), make("p", "", messageOf(error)));
    box.role = "alert";
    main.append(box);
  }
}

function showTrend(query: TrendQuery): void {
  clear();
  head.name("Trend");
  const trend = new Trend(page, query);
  main.append(trend.element);
  scale();
  close = () => trend.close();
}

function showAlarms(): void {
  clear();
  head.name("Alarms");
  const alarms = new AlarmPage(page, head.badge);
  main.append(alarms.element);
  scale();
  close = () => alarms.close();
}

function showLog(query: LogQuery): void {
  clear();
  head.name("Log");
  const log = new LogPage(query);
  main.append(log.element);
  scale();
  close = () => log.close();
}

function showSaxs(query: SaxsQuery): void {
  clear();
  head.name(`SAXS ${query.prefix}`);
  const saxs = new SaxsPage(page, query);
  main.append(saxs.element);
  scale();
  close = () => saxs.close();
}

function showCcd(query: CcdQuery): void {
  clear();
  head.name(`CCD ${query.prefix}`);
  const ccd = new CcdPage(page, query);
  main.append(ccd.element);
  scale();
  close = () => ccd.close();
}

function clear(): void {
  close();
  close = () => undefined;
  page.tooltip.hide();
  size = undefined;
  main.style.backgroundColor = "";
  main.replaceChildren();
}

page.pvs.watch(() => setLogin(page.pvs.server.person?.name ?? ""));
window.addEventListener("hashchange", () => void show());
window.addEventListener("resize", scale);
void show();
page.pvs.connect();
