// The legend of an image: colours and the values they mean.

import { make, px, setText } from "../dom";
import { tickText } from "../widgets/scale";
import { COLORS } from "./colormaps";
import { type Contrast, valueAt } from "./contrast";

const LABELS = 5;
const STOPS = 32;

export class ColorBar {
  readonly element: HTMLElement;
  private readonly strip = make("div", "strip");
  private readonly labels = Array.from({ length: LABELS }, () => make("span"));

  constructor(width: number) {
    this.element = make("div", "color-bar", this.strip, make("div", "labels", ...this.labels));
    this.element.style.width = px(width);
    this.element.ariaHidden = "true";
  }

  setColors(colors: Uint8ClampedArray): void {
    const stops = Array.from({ length: STOPS }, (_, index) => {
      const at = Math.round((index / (STOPS - 1)) * (COLORS - 1)) * 4;
      return `rgb(${colors[at]} ${colors[at + 1]} ${colors[at + 2]})`;
    });
    this.strip.style.backgroundImage = `linear-gradient(to top, ${stops.join(", ")})`;
  }

  draw(contrast: Contrast): void {
    for (const [index, label] of this.labels.entries()) {
      const value = valueAt(1 - index / (LABELS - 1), contrast);
      setText(label, tickText(Number(value.toPrecision(3))));
    }
  }
}
