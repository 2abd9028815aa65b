// Widgets that belong together, with or without a frame.

import { css } from "../color";
import type { Container } from "../container";
import { make, px, setFont } from "../dom";
import { showWidgets } from "../panel";

/** How far the widgets of a group are moved in, as in Phoebus: [left, top]. */
function insets(style: string, fontSize: number): readonly [number, number] {
  const title = 2 + Math.floor(1.2 * fontSize);
  switch (style) {
    case "none":
      return [0, 0];
    case "line":
      return [1, 1];
    case "title":
      return [1, title + 1];
    default:
      return [title, title];
  }
}

export function drawGroup(widget: Container): void {
  const { properties } = widget;
  const style = properties.option("style");
  const [left, top] = insets(style, properties.font("font").size);
  const frame = make("div", `group ${style}`);
  frame.role = "group";
  frame.ariaLabel = properties.text("name");
  const line = css(properties.color("line_color"));
  if (!properties.flag("transparent")) frame.style.backgroundColor = css(properties.color("background_color"));
  if (style === "line" || style === "title") frame.style.boxShadow = `inset 0 0 0 1px ${line}`;
  if (style === "group") {
    const border = make("div", "group-border");
    border.style.inset = px(left / 2);
    border.style.borderColor = line;
    frame.append(border);
  }
  if (style === "group" || style === "title") frame.append(titleOf(widget, style, left, top));
  const inner = make("div", "group-inner");
  inner.style.left = px(left);
  inner.style.top = px(top);
  frame.append(inner);
  widget.body.append(frame);
  widget.onClose(showWidgets(properties.widgets("widgets"), inner, widget.panel));
}

function titleOf({ properties }: Container, style: string, left: number, top: number): HTMLElement {
  const title = make("div", "group-title", properties.text("name"));
  setFont(title, properties.font("font"));
  title.style.color = css(properties.color("foreground_color"));
  if (style === "title") {
    title.style.height = px(top - 1);
    title.style.backgroundColor = css(properties.color("line_color"));
  } else {
    title.style.left = px(left);
    title.style.backgroundColor = properties.flag("transparent") ? "" : css(properties.color("background_color"));
  }
  return title;
}
