// Above the trends: ranges, the way back to now, a PV to add, the table for other programs; and the list of the curves.

import { css } from "../color";
import { make, setText } from "../dom";
import { historyUrl, readNames } from "../plot/past";
import { colorOf } from "./chart";
import type { Curve } from "./curve";
import type { TrendQuery } from "./query";

const RANGES = [
  ["10 min", 600],
  ["1 h", 3600],
  ["8 h", 28_800],
  ["24 h", 86_400],
  ["7 d", 604_800],
] as const;
const OFFERED = 50;

export interface BarEvents {
  range(span: number): void;
  now(): void;
  add(pv: string): void;
  remove(pv: string): void;
}

export class Bar {
  readonly element = make("div", "trend-bar");
  private readonly ranges = RANGES.map(([text, span]) => ({ span, button: make("button", "trend-button", text) }));
  private readonly now = make("button", "trend-button", "Now");
  private readonly table = make("a", "trend-button", "CSV");
  private readonly entries = make("div", "trend-entries");
  private listed = "";

  constructor(private readonly events: BarEvents) {
    for (const { span, button } of this.ranges) button.addEventListener("click", () => events.range(span));
    this.now.addEventListener("click", () => events.now());
    this.table.download = "trend.csv";
    const ranges = make("div", "trend-ranges", ...this.ranges.map(({ button }) => button), this.now, this.table);
    this.element.append(ranges, this.form(), this.entries);
  }

  draw(
    query: TrendQuery,
    curves: readonly Curve[],
    from: number,
    to: number,
    remarks: ReadonlyMap<string, string>,
  ): void {
    for (const { span, button } of this.ranges) button.ariaPressed = String(query.span === span);
    this.now.ariaPressed = String(query.to === undefined);
    this.table.href = historyUrl("hist/export.csv", query.pvs, { from, to });
    this.table.hidden = query.pvs.length === 0;
    // A button that is about to be clicked stays the same one.
    const listed = JSON.stringify(curves.map(({ pv }) => [pv, remarks.get(pv)]));
    if (listed === this.listed) return;
    this.listed = listed;
    this.entries.replaceChildren(
      ...curves.map((curve, index) => this.entry(curve, index, remarks.get(curve.pv) ?? "")),
    );
  }

  private entry(curve: Curve, index: number, remark: string): HTMLElement {
    const mark = make("span", "mark");
    mark.style.backgroundColor = css(colorOf(index));
    const remove = make("button", "trend-remove", "✕");
    remove.ariaLabel = `Remove ${curve.pv}`;
    remove.addEventListener("click", () => this.events.remove(curve.pv));
    return make("span", "trend-entry", mark, curve.pv, make("span", "trend-remark", remark), remove);
  }

  private form(): HTMLElement {
    const input = make("input", "trend-name");
    const names = make("datalist");
    names.id = "trend-names";
    input.setAttribute("list", names.id);
    input.placeholder = "Add a PV";
    input.ariaLabel = "Name of a PV to add";
    input.spellcheck = false;
    input.autocomplete = "off";
    let known: readonly string[] = [];
    const offer = (): void => {
      const typed = input.value.trim().toLowerCase();
      const fitting = known.filter((name) => name.toLowerCase().includes(typed)).slice(0, OFFERED);
      names.replaceChildren(...fitting.map((name) => make("option", "", name)));
    };
    input.addEventListener("focus", () => {
      // Without the list, names are typed in full.
      readNames().then(
        (found) => {
          known = found;
          offer();
        },
        (error: unknown) => {
          input.title = String(error);
        },
      );
    });
    input.addEventListener("input", offer);
    const form = make("form", "trend-add", input, names, make("button", "trend-button", "Add"));
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      const name = input.value.trim();
      if (name) this.events.add(name);
      input.value = "";
      setText(names, "");
    });
    return form;
  }
}
