// The menu of a widget: right button, long touch or the menu key.

import type { Container } from "./container";
import { openMenu } from "./menu";
import { formatTrend } from "./trend/query";

const SPAN = 3600;

/** Offers the trends of the widget's PVs; arrays and texts have none. */
export function offerTrends(widget: Container): void {
  const { element } = widget;
  element.addEventListener("contextmenu", (event) => {
    const target = event.target as Element;
    // An image has its own use of the right button; what is being typed is the browser's, and so is all of it with Shift.
    if (event.shiftKey || target.closest(".image-area, .typed")) return;
    const names = widget.allPvs
      .filter((pv) => pv.value === undefined || typeof pv.value === "number")
      .map((pv) => pv.name);
    if (!names.length) return;
    event.preventDefault();
    event.stopPropagation();
    const choices = names.length > 1 ? [names, ...names.map((name) => [name])] : [names];
    const items = choices.map((pvs) => (pvs.length > 1 ? `Trend of all ${pvs.length}` : `Trend of ${pvs[0]}`));
    // A long touch shows the tooltip, too: the menu goes below it.
    const tooltip = document.querySelector<HTMLElement>("#tooltip");
    openMenu(tooltip ?? element, items, -1, (index) => {
      location.hash = formatTrend({ pvs: choices[index] ?? names, span: SPAN, to: undefined });
    });
  });
}
