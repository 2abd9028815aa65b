// A value chosen from a list, which opens on demand.

import type { Container } from "../container";
import { make, setText } from "../dom";
import { messageOf } from "../faults";
import { formatPv, PLAIN } from "../format";
import { openMenu } from "../menu";
import type { Pv } from "../pv";
import { parseTyped } from "../typed";
import { button, indexOfItem, itemsOf, mayUse, setUsable, valueOfItem } from "./button";
import { Entry } from "./entry";

export function drawCombo(widget: Container): void {
  const { properties } = widget;
  const text = make("span", "value");
  const element = button(widget, "button combo");
  element.role = "combobox";
  element.ariaHasPopup = "listbox";
  element.ariaExpanded = "false";
  element.ariaLabel = properties.text("name");
  let current: Pv | undefined;
  let entry: Entry | undefined;

  if (properties.flag("editable")) {
    entry = new Entry(widget, (typed, pv) => widget.write(pv.name, parseTyped(typed, pv)));
    element.append(make("span", "arrow"));
    widget.body.append(make("div", "combo-editable", entry.input, element));
  } else {
    element.append(text, make("span", "arrow"));
    widget.body.append(element);
  }
  const choose = (index: number): void => {
    if (!current) return;
    try {
      void widget.write(current.name, valueOfItem(itemsOf(widget, current), index, current));
    } catch (error) {
      widget.refuse(messageOf(error));
    }
  };
  const open = (): void => {
    if (!mayUse(widget, current) || !current) return;
    const items = itemsOf(widget, current);
    openMenu(element, items, indexOfItem(items, current), choose);
  };
  element.addEventListener("click", open);
  element.addEventListener("keydown", (event) => {
    if (["ArrowDown", "ArrowUp"].includes(event.key)) {
      event.preventDefault();
      open();
    }
  });
  const draw = (pv?: Pv): void => {
    current = pv;
    if (pv && entry) entry.draw(pv, formatPv(pv, PLAIN));
    setText(text, pv ? formatPv(pv, PLAIN) : "");
    setUsable(widget, element, pv);
  };
  draw();
  widget.show(draw);
}
