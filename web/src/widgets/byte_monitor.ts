// The bits of a number.

import { css, legible } from "../color";
import type { Container } from "../container";
import { make, setColors, setFont } from "../dom";
import { isOn } from "./led";

export function drawByteMonitor(widget: Container): void {
  const { properties } = widget;
  const start = properties.number("startBit");
  const count = properties.number("numBits");
  const labels = properties.strings("labels");
  const square = properties.flag("square");
  const row = make("div", `bits${square ? " square" : ""}${properties.flag("horizontal") ? "" : " vertical"}`);
  setFont(row, properties.font("font"));
  setColors(row, properties.color("foreground_color"), undefined);
  const lamps = Array.from({ length: count }, (_, index) => {
    const lamp = make("div", square ? "lamp square" : "lamp");
    lamp.dataset.bit = String(start + index);
    return lamp;
  });
  const bits = lamps.map((lamp, index) => {
    const label = make("span", "", labels[index] ?? "");
    // Labels stand within squares, beside rounds.
    if (square) lamp.append(label);
    return square ? lamp : make("div", "bit", lamp, ...(labels[index] ? [label] : []));
  });
  // The first bit stands at the right, or at the bottom, unless it is told otherwise.
  row.append(...(properties.flag("bitReverse") ? bits : bits.reverse()));
  widget.body.append(row);
  const draw = (isSet: (bit: number) => boolean): void => {
    for (const [index, lamp] of lamps.entries()) {
      const on = isSet(start + index);
      const color = properties.color(on ? "on_color" : "off_color");
      lamp.style.backgroundColor = css(color);
      lamp.style.color = css(legible(color));
      lamp.dataset.state = on ? "on" : "off";
    }
  };
  draw(() => false);
  widget.show((pv) => draw((bit) => isOn(pv, bit)));
}
