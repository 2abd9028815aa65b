// A button that sets one bit: it toggles, or holds while it is pressed.

import { fileUrl, resolveFile } from "../address";
import { css } from "../color";
import type { Consent, Container, Occasion } from "../container";
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

  const set = (on: boolean, what: Occasion | Consent): void => {
    if (current) void widget.write(current.name, withBit(current.number || 0, bit, on), what);
  };
  const mode = properties.option("mode");
  if (mode === "toggle")
    element.addEventListener("click", () => {
      if (!mayUse(widget, current) || !current) return;
      const on = !isOn(current, bit);
      set(on, on ? "push" : "release");
    });
  else
    hold(element, {
      may: () => {
        if (!mayUse(widget, current) || !current) return Promise.resolve(undefined);
        return widget.consent(`${current.name}: ${properties.text("name")}`, "push", current.confirm);
      },
      press: (consent) => set(mode === "push", consent),
      release: (consent) => set(mode !== "push", consent),
    });
}

interface Holding {
  /** Whether the press may be sent; may ask, and take its time. */
  may(): Promise<Consent | undefined>;
  press(consent: Consent): void;
  release(consent: Consent): void;
}

/**
 * Sends a press and, however the press ends, its release: never the one without the other, and never in another order. A
 * press that must be confirmed is over when it is: press and release are then sent together.
 */
function hold(element: HTMLElement, { may, press, release }: Holding): void {
  let pressed: Promise<Consent | undefined> | undefined;
  const begin = (): void => {
    pressed ??= may().then((consent) => {
      if (consent) press(consent);
      return consent;
    });
  };
  const end = (): void => {
    const ending = pressed;
    pressed = undefined;
    void ending?.then((consent) => {
      if (consent) release(consent);
    });
  };
  element.addEventListener("pointerdown", (event) => {
    element.setPointerCapture(event.pointerId);
    begin();
  });
  for (const over of ["pointerup", "pointercancel", "lostpointercapture", "blur"]) element.addEventListener(over, end);
  element.addEventListener("keydown", (event) => {
    if ([" ", "Enter"].includes(event.key) && !event.repeat) begin();
  });
  element.addEventListener("keyup", (event) => {
    if ([" ", "Enter"].includes(event.key)) end();
  });
}
