// A bar that fills.

import { css } from "../color";
import type { Container } from "../container";
import { drawBar } from "./tank";

export function drawProgressbar(widget: Container): void {
  const { properties } = widget;
  drawBar(widget, {
    horizontal: properties.flag("horizontal"),
    ground: css(properties.color("background_color")),
    fill: css(properties.color("fill_color")),
    scaled: properties.flag("scale_visible"),
  });
}
