// In the head of every page: how many alarms there are, whether any is new, and the way to them.

import { make, setAttribute, setText } from "../dom";
import { summary } from "./alarm";
import type { AlarmList } from "./alarm_list";
import { Horn } from "./horn";

export class Badge {
  readonly element = make("a", "alarm-badge");
  readonly silence = make("button", "alarm-silence", "Silence");
  readonly horn: Horn;

  constructor(private readonly alarms: AlarmList) {
    this.horn = new Horn(() => this.draw());
    this.element.href = "#/alarm-table";
    this.silence.addEventListener("click", () => this.horn.silence());
    alarms.watch(() => this.draw());
    this.draw();
  }

  private draw(): void {
    const { table, news } = this.alarms;
    this.element.hidden = !this.alarms.exists;
    if (!table) {
      setText(this.element, "Alarms unknown");
      setAttribute(this.element, "data-worst", "DISCONNECTED");
      this.element.title = this.alarms.problem;
      this.silence.hidden = true;
      return;
    }
    const { active, fresh, worst } = summary(table);
    setText(
      this.element,
      [
        active ? `${active} alarm${active === 1 ? "" : "s"}, ${worst}` : "No alarms",
        ...(fresh ? [`${fresh} new`] : []),
      ].join(", "),
    );
    setAttribute(this.element, "data-worst", worst === "NO_ALARM" ? "NONE" : worst);
    setAttribute(this.element, "data-new", fresh ? "" : undefined);
    this.element.title = "All alarms";
    this.horn.hear(news, fresh > 0);
    this.silence.hidden = !this.horn.isSounding;
  }
}
