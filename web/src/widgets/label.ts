// Text that does not change.

import type { Container } from "../container";
import { align, make, px, setColors, setFont } from "../dom";
import type { Properties } from "../properties";

/** A box for text with the font, colours and alignment of `properties`. */
export function textBox(properties: Properties): HTMLElement {
  const text = make("span");
  const box = make("div", "text", text);
  setFont(box, properties.font("font"));
  const filled = !properties.has("transparent") || !properties.flag("transparent");
  setColors(box, properties.color("foreground_color"), filled ? properties.color("background_color") : undefined);
  align(box, properties.option("horizontal_alignment"), properties.option("vertical_alignment"));
  box.classList.toggle("wrap", properties.flag("wrap_words"));
  if (properties.has("rotation_step")) turn(box, properties);
  return box;
}

/** Phoebus turns counter-clockwise, in steps of 90 degrees. */
function turn(box: HTMLElement, properties: Properties): void {
  const degrees = Number(properties.option("rotation_step"));
  if (!degrees) return;
  const [width, height] = [properties.number("width"), properties.number("height")];
  if (degrees % 180) {
    box.style.width = px(height);
    box.style.height = px(width);
    box.style.left = px((width - height) / 2);
    box.style.top = px((height - width) / 2);
  }
  box.style.transform = `rotate(${-degrees}deg)`;
}

export function drawLabel(widget: Container): void {
  const box = textBox(widget.properties);
  if (widget.properties.flag("auto_size")) box.classList.add("auto-size");
  (box.firstElementChild as Element).textContent = widget.properties.text("text");
  widget.body.append(box);
}
