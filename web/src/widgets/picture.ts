// A picture from a file beside the panel.

import { fileUrl, resolveFile } from "../address";
import type { Container } from "../container";
import { make } from "../dom";

export function drawPicture(widget: Container): void {
  const { properties } = widget;
  const file = resolveFile(properties.text("file"), widget.panel.file);
  const picture = make("img", properties.flag("stretch_image") ? "picture stretch" : "picture");
  picture.alt = properties.text("name");
  picture.addEventListener("error", () => widget.fail(new Error(`there is no picture ${file}`)));
  picture.src = fileUrl(file);
  picture.style.opacity = String(properties.number("opacity"));
  const degrees = properties.number("rotation");
  if (degrees) picture.style.transform = `rotate(${degrees}deg)`;
  widget.body.append(picture);
}
