// Typing a value: text entry and spinner.

import type { Container } from "../container";
import { align, make, px } from "../dom";
import { formatPv, type Format, formatNumber } from "../format";
import type { Pv } from "../pv";
import { inLimits, parseNumber, parseTyped } from "../typed";
import { button, mayUse } from "./button";
import { Entry } from "./entry";
import { formatOf } from "./textupdate";

export function drawTextentry(widget: Container): void {
  const { properties } = widget;
  const format = formatOf(properties);
  const entry = new Entry(
    widget,
    (typed, pv) => widget.write(pv.name, parseTyped(typed, pv, format.format)),
    properties.flag("multi_line"),
  );
  widget.body.append(entry.input);
  widget.show((pv) => entry.draw(pv, formatPv(pv, format)));
}

// Presses that follow each other quickly count on from what was asked for, not from a value that lags behind.
const ASKED_FOR = 1500;

export function drawSpinner(widget: Container): void {
  const { properties } = widget;
  const format = formatOf(properties);
  const entry = new Entry(widget, (typed, pv) =>
    widget.write(pv.name, limited(widget, pv, parseTyped(typed, pv, format.format))),
  );
  const row = make("div", properties.flag("buttons_on_left") ? "spinner left" : "spinner");
  const steps = make("div", "steps");
  align(row, "left", "middle");
  let current: Pv | undefined;
  let asked = { value: 0, until: 0 };

  const step = (count: number): void => {
    if (!mayUse(widget, current) || !current) return;
    const from = performance.now() < asked.until ? asked.value : startOf(current, entry, format);
    // Sums of decimal steps stay decimal: 0.1 + 0.2 is 0.3.
    const value = Number((from + count * properties.number("increment")).toPrecision(12));
    try {
      limited(widget, current, value);
      asked = { value, until: performance.now() + ASKED_FOR };
      entry.type(formatNumber(value, format.format, format.precision >= 0 ? format.precision : current.precision));
      void widget.write(current.name, value);
    } catch (error) {
      widget.refuse(error instanceof Error ? error.message : String(error));
    }
  };
  for (const [name, count] of [
    ["increase", 1],
    ["decrease", -1],
  ] as const) {
    const arrow = button(widget, `step ${name}`);
    arrow.ariaLabel = `${name} ${properties.text("name")}`;
    arrow.tabIndex = -1;
    arrow.addEventListener("click", () => step(count));
    steps.append(arrow);
  }
  entry.input.role = "spinbutton";
  entry.input.addEventListener("keydown", (event) => {
    const count = { ArrowUp: 1, ArrowDown: -1, PageUp: 10, PageDown: -10 }[(event as KeyboardEvent).key];
    if (count === undefined) return;
    event.preventDefault();
    step(count);
  });
  steps.style.width = px(18);
  row.append(entry.input, steps);
  widget.body.append(row);
  widget.show((pv) => {
    current = pv;
    entry.draw(pv, formatPv(pv, format));
    entry.input.ariaValueNow = String(pv.number);
  });
}

function startOf(pv: Pv, entry: Entry, { format }: Format): number {
  try {
    return parseNumber(entry.input.value, pv.units, format);
  } catch {
    return pv.number;
  }
}

/** Spinners also refuse outside of their own minimum and maximum. */
function limited<T>(widget: Container, pv: Pv, value: T): T {
  const { properties } = widget;
  if (typeof value !== "number") return value;
  if (!properties.flag("limits_from_pv")) {
    const [low, high] = [properties.number("minimum"), properties.number("maximum")];
    if (value < low || value > high)
      throw new Error(`${value} is outside [${low}, ${high}]${pv.units ? ` ${pv.units}` : ""}`);
  }
  inLimits(value, pv);
  return value;
}
