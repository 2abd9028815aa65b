// Check boxes and slide buttons: one bit with a label.

import { css } from "../color";
import type { Container } from "../container";
import { make } from "../dom";
import type { Pv } from "../pv";
import { withBit } from "./bool_button";
import { button, mayUse, setUsable } from "./button";
import { isOn } from "./led";

function drawToggle(widget: Container, kind: "checkbox" | "switch", mark: HTMLElement): void {
  const { properties } = widget;
  const bit = properties.number("bit");
  const element = button(widget, kind);
  element.role = kind;
  element.append(mark, make("span", "", properties.text("label")));
  if (!properties.text("label")) element.ariaLabel = properties.text("name");
  widget.body.append(element);
  let current: Pv | undefined;
  const draw = (pv?: Pv): void => {
    current = pv;
    const on = pv !== undefined && isOn(pv, bit);
    element.ariaChecked = String(on);
    if (kind === "switch") mark.style.backgroundColor = css(properties.color(on ? "on_color" : "off_color"));
    setUsable(widget, element, pv);
  };
  draw();
  widget.show(draw);
  element.addEventListener("click", () => {
    if (!mayUse(widget, current) || !current) return;
    const on = !isOn(current, bit);
    void widget.write(current.name, withBit(current.number || 0, bit, on), on ? "push" : "release");
  });
}

export function drawCheckbox(widget: Container): void {
  drawToggle(widget, "checkbox", make("span", "tick"));
}

export function drawSlideButton(widget: Container): void {
  drawToggle(widget, "switch", make("span", "track", make("span", "thumb")));
}
