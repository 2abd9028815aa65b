// Tabs with widgets in them, and tabs that each show another panel.

import { css } from "../color";
import type { Container } from "../container";
import { make, px, setFont } from "../dom";
import { showWidgets } from "../panel";
import { embed } from "./embedded";

interface Tab {
  readonly name: string;
  /** Fills `host`; the result empties it. */
  show(host: HTMLElement): () => void;
}

export function drawTabs(widget: Container): void {
  const { properties } = widget;
  drawBook(
    widget,
    properties.structures("tabs").map((tab) => ({
      name: tab.text("name"),
      show: (host) => showWidgets(tab.widgets("children"), host, widget.panel),
    })),
    css(properties.color("background_color")),
    css(properties.color("background_color")),
  );
}

export function drawNavtabs(widget: Container): void {
  const { properties } = widget;
  drawBook(
    widget,
    properties.structures("tabs").map((tab) => ({
      name: tab.text("name"),
      show: (host) =>
        tab.text("file")
          ? embed(widget, host, {
              file: tab.text("file"),
              macros: tab.macros("macros"),
              group: tab.text("group_name"),
              resize: "none",
              transparent: false,
            })
          : () => undefined,
    })),
    css(properties.color("selected_color")),
    css(properties.color("deselected_color")),
  );
}

function drawBook(widget: Container, tabs: readonly Tab[], selected: string, deselected: string): void {
  const { properties } = widget;
  const vertical = properties.option("direction") === "vertical";
  const list = make("div", "tab-list");
  const sheet = make("div", "tab-sheet");
  list.role = "tablist";
  list.ariaOrientation = vertical ? "vertical" : "horizontal";
  sheet.role = "tabpanel";
  sheet.style.backgroundColor = selected;
  let close: () => void = () => undefined;
  const buttons = tabs.map((tab, index) => {
    const button = make("button", "tab", tab.name);
    button.role = "tab";
    setFont(button, properties.font("font"));
    button.style.minHeight = px(properties.number("tab_height"));
    if (properties.has("tab_width")) button.style.width = px(properties.number("tab_width"));
    button.addEventListener("click", () => choose(index));
    return button;
  });
  if (properties.has("tab_spacing")) list.style.gap = px(properties.number("tab_spacing"));

  function choose(index: number): void {
    close();
    sheet.replaceChildren();
    for (const [each, button] of buttons.entries()) {
      button.ariaSelected = String(each === index);
      button.tabIndex = each === index ? 0 : -1;
      button.style.backgroundColor = each === index ? selected : deselected;
    }
    sheet.ariaLabel = tabs[index]?.name ?? "";
    close = tabs[index]?.show(sheet) ?? close;
  }
  list.addEventListener("keydown", (event) => {
    const at = buttons.indexOf(document.activeElement as HTMLButtonElement);
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (step === undefined || at < 0) return;
    event.preventDefault();
    const next = (at + step + buttons.length) % buttons.length;
    choose(next);
    buttons[next]?.focus();
  });
  list.append(...buttons);
  widget.body.append(make("div", vertical ? "book vertical" : "book", list, sheet));
  widget.onClose(() => close());
  if (tabs.length) choose(Math.min(Math.max(0, properties.number("active_tab")), tabs.length - 1));
}
