// One of several: choice buttons and radio buttons.

import { css } from "../color";
import type { Container } from "../container";
import { make } from "../dom";
import type { Pv } from "../pv";
import { button, indexOfItem, itemsOf, mayUse, setUsable, valueOfItem } from "./button";

function drawOptions(widget: Container, kind: "choice" | "radio"): void {
  const { properties } = widget;
  const group = make("div", `${kind}${properties.flag("horizontal") ? "" : " vertical"}`);
  group.role = "radiogroup";
  group.ariaLabel = properties.text("name");
  widget.body.append(group);
  let items: readonly string[] = [];
  let buttons: HTMLButtonElement[] = [];
  let current: Pv | undefined;

  const choose = (index: number): void => {
    if (mayUse(widget, current) && current)
      void widget.write(current.name, valueOfItem(itemsOf(widget, current), index, current));
  };
  const build = (): void => {
    buttons = items.map((item, index) => {
      const element = button(widget, kind === "choice" ? "button" : "radio-item");
      element.role = "radio";
      if (kind === "radio") element.append(make("span", "dot"));
      element.append(make("span", "", item));
      element.addEventListener("click", () => choose(index));
      return element;
    });
    group.replaceChildren(...buttons);
  };
  const draw = (pv?: Pv): void => {
    current = pv;
    const wanted = itemsOf(widget, pv);
    if (wanted.join("\n") !== items.join("\n")) {
      items = wanted;
      build();
    }
    const selected = pv?.value === undefined ? -1 : indexOfItem(wanted, pv);
    for (const [index, element] of buttons.entries()) {
      element.ariaChecked = String(index === selected);
      if (kind === "choice")
        element.style.backgroundColor = css(
          properties.color(index === selected ? "selected_color" : "background_color"),
        );
      setUsable(widget, element, pv);
    }
  };
  draw();
  widget.show(draw);
}

export function drawChoice(widget: Container): void {
  drawOptions(widget, "choice");
}

export function drawRadio(widget: Container): void {
  drawOptions(widget, "radio");
}
