// The entries as a table, the newest on top; the oldest rows leave it.

import { make, setText } from "../dom";
import { formatTime } from "../format";
import type { LogEntry } from "./entry";

export const MOST_ROWS = 1000;

export class LogTable {
  private readonly body = make("tbody");
  readonly element: HTMLElement;

  constructor() {
    const head = ["Time", "Level", "Server", "Source", "Text"].map((text) => make("th", "", text));
    this.element = make("table", "log-table", make("thead", "", make("tr", "", ...head)), this.body);
    this.body.addEventListener("click", (event) => open(event.target));
  }

  get count(): number {
    return this.body.childElementCount;
  }

  /** Entries in the order in which they came. */
  add(entries: readonly LogEntry[]): void {
    const shown = entries.slice(-MOST_ROWS);
    this.body.prepend(...shown.map(rowOf).reverse());
    while (this.count > MOST_ROWS) this.body.lastElementChild?.remove();
  }

  clear(): void {
    this.body.replaceChildren();
  }
}

function rowOf(entry: LogEntry): HTMLElement {
  const level = make("td", "log-level", make("span", "", entry.level));
  level.dataset.level = entry.level;
  const [first = "", ...more] = entry.text.split("\n");
  const text = make("td", "log-text", make("div", "log-first", first));
  if (more.length) {
    const button = make("button", "log-more", `+ ${more.length} lines`);
    button.ariaExpanded = "false";
    const rest = make("pre", "log-rest", more.join("\n"));
    rest.hidden = true;
    text.append(button, rest);
  }
  const time = make("td", "log-time", formatTime(entry.time));
  time.title = new Date(entry.time * 1000).toISOString();
  return make("tr", "", time, level, make("td", "", entry.server), make("td", "", entry.source), text);
}

function open(target: EventTarget | null): void {
  if (!(target instanceof HTMLButtonElement)) return;
  const rest = target.nextElementSibling;
  if (!(rest instanceof HTMLElement)) return;
  rest.hidden = !rest.hidden;
  target.ariaExpanded = String(!rest.hidden);
  setText(target, target.textContent?.replace(/^[+−]/, rest.hidden ? "+" : "−") ?? "");
}
