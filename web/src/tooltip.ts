// One tooltip for the page: PV, value, time, severity, limits. On hover, on keyboard focus, and on a long touch.

import { make } from "./dom";
import { showNear } from "./popup";

const DELAY = 450;
const REFRESH = 500;

export type Row = readonly [label: string, text: string];

export class Tooltip {
  private readonly box = make("div", "tooltip");
  private timer: ReturnType<typeof setTimeout> | undefined;
  private shown: { readonly anchor: Element; readonly rows: () => readonly Row[] } | undefined;

  constructor() {
    this.box.role = "tooltip";
    this.box.id = "tooltip";
    for (const event of ["pointerdown", "wheel", "keydown"])
      document.addEventListener(event, () => this.hide(), { capture: true, passive: true });
  }

  /** `rows` is asked each time the tooltip is drawn, so that it shows the newest value. */
  offer(element: HTMLElement, rows: () => readonly Row[]): void {
    const later = (): void => {
      this.hide();
      this.timer = setTimeout(() => this.show(element, rows), DELAY);
    };
    element.addEventListener("pointerenter", later);
    element.addEventListener("pointerleave", () => this.hide());
    element.addEventListener("focusin", (event) => {
      if ((event.target as Element).matches(":focus-visible")) later();
    });
    element.addEventListener("focusout", () => this.hide());
    element.addEventListener("contextmenu", (event) => {
      // The long touch of a tablet arrives as a context menu.
      if ((event as PointerEvent).pointerType !== "touch") return;
      event.preventDefault();
      this.show(element, rows);
    });
  }

  private show(anchor: Element, rows: () => readonly Row[]): void {
    this.shown = { anchor, rows };
    this.draw();
  }

  private draw(): void {
    if (!this.shown?.anchor.isConnected) return this.hide();
    const rows = this.shown.rows();
    if (!rows.length) return this.hide();
    this.box.replaceChildren(
      ...rows.flatMap(([label, text]) =>
        label ? [make("span", "label", label), make("span", "", text)] : [make("span", "wide", text)],
      ),
    );
    showNear(this.box, this.shown.anchor);
    this.timer = setTimeout(() => this.draw(), REFRESH);
  }

  hide(): void {
    clearTimeout(this.timer);
    this.shown = undefined;
    this.box.remove();
  }
}
