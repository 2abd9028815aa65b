// A button that sets one bit: it toggles, or holds while it is pressed.

import { fileUrl, resolveFile } from "../address";
import { css } from "../color";
import type { Container } from "../container";
import { align, make, setText } from "../dom";
import type { Pv } from "../pv";
import { button, mayUse, setUsable } from "./button";
import { isOn } from "./led";

/** The value with one bit set or cleared; bit -1: the whole value is 1 or 0. */
export function withBit(value: number, bit: number, on: boolean): number {
  if (bit < 0) return on ? 1 : 0;
  const weight = 2 ** bit;
  const isSet = Math.floor(value / weight) % 2 === 1;
  return isSet === on ? value : on ? value + weight : value - weight;
}

export function drawBoolButton(widget: Container): void {
  const { properties } = widget;
  const bit = properties.number("bit");
  const lamp = make("span", "lamp");
  const picture = make("img", "picture");
  picture.alt = "";
  const text = make("span");
  const element = button(widget, "button bool");
  align(element, properties.option("horizontal_alignment"), properties.option("vertical_alignment"));
  if (properties.flag("show_led") && !properties.text("on_image")) element.append(lamp);
  if (properties.text("on_image")) element.append(picture);
  element.append(text);
  widget.body.append(element);
  let current: Pv | undefined;

  const draw = (pv?: Pv): void => {
    current = pv;
    const on = pv !== undefined && isOn(pv, bit);
    const state = on ? "on" : "off";
    const labels = properties.flag("labels_from_pv") ? pv?.labels : undefined;
    setText(text, labels?.[on ? 1 : 0] ?? properties.text(`${state}_label`));
    lamp.style.backgroundColor = css(properties.color(`${state}_color`));
    const image = properties.text(`${state}_image`);
    if (image) picture.src = fileUrl(resolveFile(image, widget.panel.file));
    element.ariaPressed = String(on);
    element.ariaLabel = text.textContent ? null : properties.text("name");
    setUsable(widget, element, pv);
  };
  draw();
  widget.show(draw);

  const set = (on: boolean): void => {
    if (current) void widget.write(current.name, withBit(current.number || 0, bit, on), on ? "push" : "release");
  };
  if (properties.option("mode") === "toggle")
    element.addEventListener("click", () => {
      if (mayUse(widget, current) && current) set(!isOn(current, bit));
    });
  else hold(element, properties.option("mode") === "push", () => mayUse(widget, current), set);
}

/** Sets while it is pressed, by pointer or by the space bar, and unsets however the press ends. */
function hold(element: HTMLElement, pressed: boolean, may: () => boolean, set: (on: boolean) => void): void {
  let held = false;
  const press = (): void => {
    if (held || !may()) return;
    held = true;
    set(pressed);
  };
  const release = (): void => {
    if (!held) return;
    held = false;
    set(!pressed);
  };
  element.addEventListener("pointerdown", (event) => {
    element.setPointerCapture(event.pointerId);
    press();
  });
  for (const end of ["pointerup", "pointercancel", "lostpointercapture", "blur"])
    element.addEventListener(end, release);
  element.addEventListener("keydown", (event) => {
    if ([" ", "Enter"].includes(event.key) && !event.repeat) press();
  });
  element.addEventListener("keyup", (event) => {
    if ([" ", "Enter"].includes(event.key)) release();
  });
}
