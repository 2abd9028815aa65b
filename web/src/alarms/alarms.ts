// The page of alarms: what is wrong now, what is set aside, and what happened.

import { make, setText } from "../dom";
import type { Page } from "../page";
import type { WriteValue } from "../pvs";
import { type Alarm, fits, wantsSomebody } from "./alarm";
import type { Badge } from "./badge";
import { personInput, personName } from "./person";
import { Row } from "./row";
import { askShelf } from "./shelf";
import { stepsList } from "./steps";

const SPANS = [
  ["1 h", 1],
  ["8 h", 8],
  ["24 h", 24],
  ["7 d", 168],
] as const;

export class AlarmPage {
  readonly element = make("div", "alarms");
  private readonly table = make("table", "alarm-table");
  private readonly empty = make("p", "alarm-empty");
  private readonly filter = make("input", "alarm-input");
  private readonly all = make("button", "alarm-button", "Acknowledge all");
  private readonly sound = make("button", "alarm-button", "Sound");
  private readonly past = make("section", "alarm-past");
  private readonly rows = new Map<string, Row>();
  private readonly endings: (() => void)[];
  private hours = 1;
  private told: number | undefined;

  constructor(
    private readonly page: Page,
    private readonly badge: Badge,
  ) {
    this.filter.type = "search";
    this.filter.ariaLabel = this.filter.placeholder = "Filter";
    this.filter.addEventListener("input", () => this.draw());
    this.filter.addEventListener("change", () => this.drawPast());
    this.all.addEventListener("click", () => void this.acknowledgeAll());
    this.sound.addEventListener("click", () => {
      badge.horn.turn(!badge.horn.isOn || badge.horn.isBlocked);
      this.draw();
    });
    const head = ["Severity", "Alarm", "What is wrong", "Since", "", ""].map((text) => make("th", "", text));
    this.table.append(make("thead", "", make("tr", "", ...head)));
    const bar = make("div", "alarm-bar", this.filter, personInput(), this.all, this.sound);
    this.element.append(bar, this.table, this.empty, this.past);
    this.endings = [page.alarms.watch(() => this.draw()), page.everySecond(() => this.draw())];
    this.draw();
    this.drawPast();
  }

  close(): void {
    for (const end of this.endings) end();
  }

  private get shown(): readonly Alarm[] {
    return (this.page.alarms.table ?? []).filter((alarm) => fits(alarm, this.filter.value));
  }

  private draw(): void {
    const { alarms } = this.page;
    const { horn } = this.badge;
    const now = this.page.pvs.now();
    this.element.dataset.known = String(alarms.table !== undefined);
    const { shown } = this;
    for (const [name, row] of this.rows)
      if (!shown.some((alarm) => alarm.name === name)) {
        row.element.remove();
        this.rows.delete(name);
      }
    for (const alarm of shown) this.row(alarm).show(alarm, now);
    this.arrange(shown);
    setText(this.empty, this.remark(shown.length));
    this.all.hidden = !shown.some(wantsSomebody);
    this.sound.ariaPressed = String(horn.isOn);
    setText(this.sound, horn.isOn ? (horn.isBlocked ? "Sound: click to allow" : "Sound on") : "Sound off");
    if (alarms.news === this.told) return;
    if (this.told !== undefined) this.drawPast();
    this.told = alarms.news;
  }

  private remark(count: number): string {
    const { alarms } = this.page;
    if (!alarms.exists)
      return this.page.pvs.server.connected ? "This facility has no alarm device." : "No connection to the server.";
    if (!alarms.table) return `The alarms are not known: ${alarms.problem}`;
    if (count) return "";
    return this.filter.value ? "No alarm fits the filter." : "No alarms.";
  }

  private row(alarm: Alarm): Row {
    const known = this.rows.get(alarm.name);
    if (known) return known;
    const row = new Row(alarm, {
      acknowledge: ({ name }) => void this.call("Acknowledge", { alarm: name, who: personName() }),
      setAside: ({ name }) => void this.setAside(name),
      putBack: ({ name, stand }) =>
        void this.call(stand === "SHELVED" ? "Unshelve" : "PutBackIntoService", { alarm: name, who: personName() }),
    });
    this.rows.set(alarm.name, row);
    this.table.append(row.element);
    return row;
  }

  /** In the order of the list; not while the pointer is there, where a click would meet another alarm. */
  private arrange(shown: readonly Alarm[]): void {
    if (this.table.matches(":hover")) return;
    let before: Element | null = this.table.tHead;
    for (const { name } of shown) {
      const element = this.rows.get(name)?.element;
      if (!element) continue;
      if (before?.nextElementSibling !== element) before?.after(element);
      before = element;
    }
  }

  private async acknowledgeAll(): Promise<void> {
    const everything = !this.filter.value;
    const who = personName();
    if (everything) return this.call("Acknowledge", { alarm: "*", who });
    for (const { name } of this.shown.filter(wantsSomebody)) await this.call("Acknowledge", { alarm: name, who });
  }

  private async setAside(alarm: string): Promise<void> {
    const shelf = await askShelf(alarm);
    if (!shelf) return;
    const { minutes, who, why } = shelf;
    if (minutes === undefined) await this.call("TakeOutOfService", { alarm, who, why });
    else await this.call("Shelve", { alarm, minutes, who, why });
  }

  private async call(command: string, values: Readonly<Record<string, WriteValue>>): Promise<void> {
    const { ok, message } = await this.page.alarms.call(command, values);
    if (!ok) this.page.messages.add(message, "refused");
    this.drawPast();
  }

  private drawPast(): void {
    if (!this.page.alarms.exists) return;
    const choices = SPANS.map(([text, hours]) => {
      const button = make("button", "alarm-button", text);
      button.ariaPressed = String(hours === this.hours);
      button.addEventListener("click", () => {
        this.hours = hours;
        this.drawPast();
      });
      return button;
    });
    const filter = this.filter.value.toLowerCase();
    const list = stepsList("", this.hours, ({ alarm, text }) => `${alarm} ${text}`.toLowerCase().includes(filter));
    this.past.replaceChildren(make("h2", "", "What happened"), make("div", "alarm-bar", ...choices), list);
  }
}
