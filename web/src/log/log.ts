// The page of the log: what all processes said and every write, as it comes.

import { make, setAttribute, setText } from "../dom";
import { Link, type Message } from "../link";
import { entriesOf, type LogEntry } from "./entry";
import { formatLog, LEVELS, liveUrl, type LogQuery, SPANS } from "./query";
import { LogTable, MOST_ROWS } from "./table";

const SETTLED = 300; // ms without a key until the server is asked
const PAST = 300;

export class LogPage {
  readonly element = make("div", "log");
  private readonly table = new LogTable();
  private readonly remark = make("p", "log-remark");
  private readonly pause = make("button", "log-button", "Pause");
  private readonly names = make("datalist");
  private readonly known = new Set<string>();
  private link: Link | undefined;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private held: LogEntry[] | undefined;
  private isComplete = true;
  private isStale = false;
  private state = "";

  constructor(private query: LogQuery) {
    this.names.id = "log-servers";
    this.pause.addEventListener("click", () => this.turn());
    this.remark.role = "status";
    this.element.append(this.bar(), this.names, this.remark, this.table.element);
    this.connect();
  }

  close(): void {
    clearTimeout(this.timer);
    this.link?.close();
  }

  private bar(): HTMLElement {
    const server = this.text("server", "Server", "log-short");
    server.setAttribute("list", this.names.id);
    const writes = make("input");
    writes.type = "checkbox";
    writes.checked = this.query.writes;
    writes.addEventListener("change", () => this.go({ ...this.query, writes: writes.checked }));
    return make(
      "div",
      "log-bar",
      this.choice("level", "Level", LEVELS, (level) => (level ? `${level} or worse` : "every level")),
      server,
      this.text("text", "Text"),
      this.text("who", "Who", "log-short"),
      this.choice("since", "Since", SPANS, (span) => (span ? `the last ${span}` : "any time")),
      make("label", "log-check", writes, "writes only"),
      this.pause,
    );
  }

  private text(key: "server" | "text" | "who", label: string, width = ""): HTMLInputElement {
    const input = make("input", `log-input ${width}`);
    input.type = "search";
    input.ariaLabel = input.placeholder = label;
    input.spellcheck = false;
    input.value = this.query[key];
    input.addEventListener("input", () => this.go({ ...this.query, [key]: input.value.trim() }, SETTLED));
    return input;
  }

  private choice(
    key: "level" | "since",
    label: string,
    values: readonly string[],
    shown: (value: string) => string,
  ): HTMLElement {
    const select = make("select", "log-input");
    select.ariaLabel = label;
    for (const value of ["", ...values])
      select.append(new Option(shown(value), value, false, value === this.query[key]));
    select.addEventListener("change", () => this.go({ ...this.query, [key]: select.value }));
    return select;
  }

  private go(query: LogQuery, delay = 0): void {
    this.query = query;
    if (this.held) this.turn();
    clearTimeout(this.timer);
    this.timer = setTimeout(() => {
      history.replaceState(null, "", formatLog(this.query));
      this.connect();
    }, delay);
  }

  private connect(): void {
    this.link?.close();
    this.link = new Link(liveUrl(this.query, PAST), {
      opened: () => this.say("reading"),
      message: (message) => this.hear(message),
      closed: (reason) => this.say(`not connected: ${reason}`),
    });
    this.link.connect();
  }

  private hear(message: Message): void {
    if (message.type === "begin") {
      // A server that is back sends all that it has anew; what somebody reads stays until they go on.
      this.isStale = true;
      if (this.held) this.held = [];
      else this.renew();
      this.isComplete = message.complete === true;
      if (Array.isArray(message.servers)) for (const server of message.servers) this.offer(String(server));
      this.say("");
    } else if (message.type === "entries") {
      const entries = entriesOf(message.entries);
      for (const { server } of entries) this.offer(server);
      if (this.held) this.held = [...this.held, ...entries].slice(-MOST_ROWS);
      else this.table.add(entries);
      const left = Number(message.left_out ?? 0);
      this.say(left > 0 ? `${left} entries came too fast to be shown` : "");
    }
  }

  private offer(server: string): void {
    if (this.known.has(server)) return;
    this.known.add(server);
    this.names.append(make("option", "", server));
  }

  private turn(): void {
    const { held } = this;
    this.held = held ? undefined : [];
    if (held) {
      if (this.isStale) this.renew();
      this.table.add(held);
    }
    this.draw();
  }

  private renew(): void {
    this.isStale = false;
    this.table.clear();
  }

  private say(state: string): void {
    this.state = state;
    this.draw();
  }

  private draw(): void {
    const { held } = this;
    setAttribute(this.pause, "aria-pressed", String(held !== undefined));
    setText(this.pause, held ? `Go on (${held.length} new)` : "Pause");
    this.element.dataset.state = this.state ? "waiting" : "live";
    setText(this.remark, this.state || this.tail());
    this.remark.hidden = this.remark.textContent === "";
  }

  private tail(): string {
    if (this.table.count) return "";
    return this.isComplete ? "Nothing fits." : "Nothing fits in the newest part of the log; name a server or a time.";
  }
}
