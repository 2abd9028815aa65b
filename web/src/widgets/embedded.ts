// A panel within a panel.

import { resolveFile } from "../address";
import { css } from "../color";
import type { Container } from "../container";
import { make } from "../dom";
import { type Macros, nested } from "../macros";
import { type Panel, readPanel, sheet, showWidgets, sizeOf } from "../panel";

export interface Embedding {
  readonly file: string;
  /** Besides those of the widget. */
  readonly macros: Macros;
  /** Only the group of this name, or everything for "". */
  readonly group: string;
  readonly resize: string;
  readonly transparent: boolean;
}

export function drawEmbedded(widget: Container): void {
  const { properties } = widget;
  if (!properties.text("file")) return;
  const host = make("div", "embedded");
  widget.body.append(host);
  widget.onClose(
    embed(widget, host, {
      file: properties.text("file"),
      macros: {},
      group: properties.text("group_name"),
      resize: properties.option("resize"),
      transparent: properties.flag("transparent"),
    }),
  );
}

/** Loads a panel into `host`; the result closes it, also when it has not come yet. */
export function embed(widget: Container, host: HTMLElement, embedding: Embedding): () => void {
  const file = resolveFile(embedding.file, widget.panel.file);
  const panel: Panel = { page: widget.panel.page, file, depth: widget.panel.depth + 1 };
  let close: (() => void) | undefined;
  let closed = false;
  const show = async (): Promise<void> => {
    const model = await readPanel(panel, nested(widget.macros, embedding.macros));
    if (closed) return;
    const inner = sheet(sizeOf(model));
    inner.dataset.panel = file;
    if (!embedding.transparent) inner.style.backgroundColor = css(model.properties.color("background_color"));
    fit(widget, host, inner, embedding.resize, sizeOf(model));
    host.replaceChildren(inner);
    close = showWidgets(model.widgets.filter(member(embedding.group)), inner, panel);
  };
  show().catch((error: unknown) => {
    if (!closed) widget.fail(error);
  });
  return () => {
    closed = true;
    close?.();
  };
}

function member(group: string) {
  return ({ type, properties }: { type: string; properties: { text(name: string): string } }): boolean =>
    !group || (type === "group" && properties.text("name") === group);
}

function fit(
  widget: Container,
  host: HTMLElement,
  inner: HTMLElement,
  resize: string,
  size: { width: number; height: number },
): void {
  const horizontal = widget.properties.number("width") / size.width;
  const vertical = widget.properties.number("height") / size.height;
  host.dataset.resize = resize;
  if (resize !== "content" && resize !== "stretch") return;
  // A custom property cannot refer to itself; --t carries the outer scale one element down.
  host.style.setProperty("--t", `calc(var(--s) * ${Math.min(horizontal, vertical)})`);
  inner.style.setProperty("--s", "var(--t)");
}
