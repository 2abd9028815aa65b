// A value as text.

import type { Container } from "../container";
import { setText } from "../dom";
import { type Format, formatPv } from "../format";
import type { Properties } from "../properties";
import { textBox } from "./label";

export function formatOf(properties: Properties): Format {
  return {
    format: properties.option("format"),
    precision: properties.number("precision"),
    units: properties.flag("show_units"),
  };
}

export function drawTextupdate(widget: Container): void {
  const box = textBox(widget.properties);
  const text = box.firstElementChild as Element;
  const format = formatOf(widget.properties);
  widget.body.append(box);
  widget.show((pv) => setText(text, formatPv(pv, format)));
}
