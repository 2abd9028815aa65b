// What all buttons have in common.

import type { Container } from "../container";
import { make, setColors, setFont } from "../dom";
import type { Pv } from "../pv";

/** A button with the font and colours of the widget. */
export function button(widget: Container, className: string): HTMLButtonElement {
  const { properties } = widget;
  const element = make("button", className);
  element.type = "button";
  setFont(element, properties.font("font"));
  const transparent = properties.has("transparent") && properties.flag("transparent");
  const background =
    properties.has("background_color") && !transparent ? properties.color("background_color") : undefined;
  setColors(element, properties.color("foreground_color"), background);
  return element;
}

/** Greys a control that cannot be used. It stays reachable, so that a press says why. */
export function setUsable(widget: Container, element: HTMLElement, pv: Pv | undefined): void {
  const usable = widget.properties.flag("enabled") && widget.whyNot(pv) === "";
  element.ariaDisabled = usable ? null : "true";
}

/** Whether a press may go on; if not, the widget says why. */
export function mayUse(widget: Container, pv: Pv | undefined): boolean {
  if (!widget.properties.flag("enabled")) return widget.refuse("this control is switched off in the panel");
  const reason = widget.whyNot(pv);
  return reason ? widget.refuse(reason) : true;
}

/** The items of the widget, or those of its PV. */
export function itemsOf(widget: Container, pv: Pv | undefined): readonly string[] {
  const { properties } = widget;
  return properties.flag("items_from_pv") && pv?.labels.length ? pv.labels : properties.strings("items");
}

/** Which item the value is; -1: none. */
export function indexOfItem(items: readonly string[], pv: Pv): number {
  if (pv.isEnum && items === pv.labels) return pv.number;
  const text = pv.isEnum ? (pv.labels[pv.number] ?? "") : String(pv.value ?? "");
  const index = items.findIndex((item) => item === text || (item.trim() !== "" && Number(item) === pv.number));
  return index;
}

/** The value that choosing an item writes. */
export function valueOfItem(items: readonly string[], index: number, pv: Pv): number | string {
  const item = items[index] ?? "";
  if (items === pv.labels) return index;
  const label = pv.labels.indexOf(item);
  if (label >= 0) return label;
  return typeof pv.value === "number" && item.trim() !== "" && Number.isFinite(Number(item)) ? Number(item) : item;
}
