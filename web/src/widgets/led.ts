// Lamps. A lamp that is disconnected is hatched by its container, never merely dark.

import { type Color, css, legible } from "../color";
import type { Container } from "../container";
import { make, setFont, setText } from "../dom";
import type { Pv } from "../pv";

interface Lamp {
  show(color: Color, label: string): void;
}

function lamp(widget: Container): Lamp {
  const { properties } = widget;
  const text = make("span");
  const bulb = make("div", properties.flag("square") ? "lamp square" : "lamp", text);
  bulb.role = "img";
  setFont(bulb, properties.font("font"));
  bulb.style.borderColor = css(properties.color("line_color"));
  widget.body.append(bulb);
  return {
    show(color, label) {
      bulb.style.backgroundColor = css(color);
      bulb.style.color = css(legible(color));
      setText(text, label);
      bulb.ariaLabel = label || null;
    },
  };
}

/** The bit of a value; -1: any. */
export function isOn(pv: Pv, bit: number): boolean {
  const value = pv.number;
  if (bit < 0) return value !== 0 && !Number.isNaN(value);
  return Math.floor(value / 2 ** bit) % 2 === 1;
}

export function drawLed(widget: Container): void {
  const { properties } = widget;
  const bulb = lamp(widget);
  const draw = (on: boolean, pv?: Pv): void => {
    const state = on ? "on" : "off";
    const labels = properties.flag("labels_from_pv") ? pv?.labels : undefined;
    bulb.show(properties.color(`${state}_color`), labels?.[on ? 1 : 0] ?? properties.text(`${state}_label`));
    widget.element.dataset.state = state;
  };
  draw(false);
  widget.show((pv) => draw(isOn(pv, properties.number("bit")), pv));
}

export function drawMultiStateLed(widget: Container): void {
  const { properties } = widget;
  const bulb = lamp(widget);
  const draw = (value: number): void => {
    const state = properties.structures("states").find((each) => each.number("value") === value);
    if (state) bulb.show(state.color("color"), state.text("label"));
    else bulb.show(properties.color("fallback_color"), properties.text("fallback_label"));
    widget.element.dataset.state = state ? state.text("label") : "fallback";
  };
  bulb.show(properties.color("fallback_color"), "");
  widget.show((pv) => draw(pv.number));
}
