// One alarm in the table. Its elements stay the same while it is listed: a button that is about to be clicked is not replaced.

import { make, setAttribute, setText } from "../dom";
import { formatAge } from "../format";
import { type Alarm, isPv, isSetAside, standText, wantsSomebody } from "./alarm";
import { stepsList } from "./steps";

const HISTORY_HOURS = 168;

export interface RowEvents {
  acknowledge(alarm: Alarm): void;
  setAside(alarm: Alarm): void;
  putBack(alarm: Alarm): void;
}

export class Row {
  readonly element = make("tbody", "alarm-row");
  private readonly name = make("button", "alarm-name");
  private readonly device = make("div", "faint");
  private readonly text = make("td", "alarm-text");
  private readonly severity = make("td", "alarm-severity");
  private readonly age = make("td", "alarm-age");
  private readonly stand = make("td", "alarm-stand");
  private readonly acknowledge = make("button", "alarm-button", "Acknowledge");
  private readonly aside = make("button", "alarm-button", "Set aside...");
  private readonly back = make("button", "alarm-button", "Put back");
  private readonly detail = make("tr", "alarm-detail");

  constructor(
    private alarm: Alarm,
    events: RowEvents,
  ) {
    this.name.ariaExpanded = "false";
    this.name.addEventListener("click", () => this.toggle());
    this.acknowledge.addEventListener("click", () => events.acknowledge(this.alarm));
    this.aside.addEventListener("click", () => events.setAside(this.alarm));
    this.back.addEventListener("click", () => events.putBack(this.alarm));
    const buttons = make("td", "alarm-buttons", this.acknowledge, this.aside, this.back);
    const named = make("td", "", this.name, this.device);
    this.detail.hidden = true;
    this.element.append(make("tr", "", this.severity, named, this.text, this.age, this.stand, buttons), this.detail);
    this.element.dataset.alarm = alarm.name;
  }

  show(alarm: Alarm, now: number): void {
    this.alarm = alarm;
    const isOver = alarm.severity === "NO_ALARM";
    setAttribute(this.element, "data-sev", isOver ? alarm.worst : alarm.severity);
    setAttribute(this.element, "data-new", wantsSomebody(alarm) ? "" : undefined);
    setAttribute(this.element, "data-over", isOver ? "" : undefined);
    setText(this.severity, isOver ? `was ${alarm.worst}` : alarm.severity);
    setText(this.name, alarm.name);
    setText(this.device, alarm.device || "rule");
    setText(this.text, alarm.text);
    this.text.title = alarm.guidance;
    const since = isOver && alarm.cleared_s ? alarm.cleared_s : alarm.raised_s;
    setText(this.age, since ? `${isOver ? "over for " : ""}${formatAge(now - since)}` : "");
    this.age.title = since ? new Date(since * 1000).toLocaleString("en-GB") : "";
    setText(this.stand, this.standing(alarm, now));
    this.acknowledge.hidden = !wantsSomebody(alarm);
    this.aside.hidden = isSetAside(alarm);
    this.back.hidden = !isSetAside(alarm);
  }

  private standing(alarm: Alarm, now: number): string {
    const by = isSetAside(alarm) ? alarm.set_aside_by : alarm.stand === "ACKNOWLEDGED" ? alarm.acknowledged_by : "";
    return [
      standText(alarm),
      alarm.stand === "SHELVED" ? `for ${formatAge(alarm.shelved_until_s - now)} more` : "",
      by ? `by ${by}` : "",
      isSetAside(alarm) && alarm.set_aside_why ? `(${alarm.set_aside_why})` : "",
    ]
      .filter(Boolean)
      .join(" ");
  }

  private toggle(): void {
    const { alarm, detail } = this;
    detail.hidden = !detail.hidden;
    this.name.ariaExpanded = String(!detail.hidden);
    if (detail.hidden) return detail.replaceChildren();
    const cell = make("td");
    cell.colSpan = 6;
    if (alarm.guidance) cell.append(make("p", "guidance", alarm.guidance));
    if (isPv(alarm)) {
      const trend = make("a", "", "Trend of the last hour");
      trend.href = `#/trend?${new URLSearchParams({ pv: alarm.name, span: "3600" }).toString()}`;
      cell.append(trend);
    }
    cell.append(stepsList(alarm.name, HISTORY_HOURS));
    detail.append(cell);
  }
}
