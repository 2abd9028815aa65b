// The row of buttons over an image.

import { make, setText } from "../dom";
import { openMenu } from "../menu";
import { COLOR_MAPS } from "./colormaps";
import { STRETCHES, type Stretch } from "./contrast";
import type { Tool } from "./measure";

export interface ToolState {
  map: string;
  stretch: Stretch;
  automatic: boolean;
  tool: Tool;
  reduce: "max" | "mean";
}

export class Tools {
  readonly element = make("div", "tools");
  private readonly redraws: (() => void)[] = [];

  /** `changed` is called after `state` was changed by a button. */
  constructor(
    private readonly state: ToolState,
    private readonly changed: () => void,
    fit: () => void,
  ) {
    this.element.role = "toolbar";
    this.element.ariaLabel = "Image tools";
    this.chooser(
      "Colour map",
      COLOR_MAPS,
      () => state.map,
      (map) => (state.map = map),
    );
    this.chooser(
      "Scale",
      STRETCHES,
      () => state.stretch,
      (stretch) => (state.stretch = stretch as Stretch),
    );
    this.toggle(
      "Auto",
      "Range from the image",
      () => state.automatic,
      () => (state.automatic = !state.automatic),
    );
    this.toggle(
      "Region",
      "Statistics of a region",
      () => state.tool === "region",
      () => this.pick("region"),
    );
    this.toggle(
      "Line",
      "Profile along a line",
      () => state.tool === "line",
      () => this.pick("line"),
    );
    this.chooser(
      "Reduced by",
      ["max", "mean"],
      () => state.reduce,
      (reduce) => (state.reduce = reduce as "max" | "mean"),
    );
    const whole = make("button", "", "Fit");
    whole.title = "The whole image";
    whole.addEventListener("click", fit);
    this.element.append(whole);
    this.draw();
  }

  draw(): void {
    for (const redraw of this.redraws) redraw();
  }

  private pick(tool: Tool): void {
    this.state.tool = this.state.tool === tool ? "pan" : tool;
  }

  private done(): void {
    this.draw();
    this.changed();
  }

  private toggle(text: string, title: string, isOn: () => boolean, press: () => void): void {
    const button = make("button", "", text);
    button.title = title;
    button.addEventListener("click", () => {
      press();
      this.done();
    });
    this.redraws.push(() => (button.ariaPressed = String(isOn())));
    this.element.append(button);
  }

  private chooser(
    title: string,
    items: readonly string[],
    current: () => string,
    choose: (item: string) => void,
  ): void {
    const button = make("button", "chooser");
    button.title = title;
    button.ariaHasPopup = "listbox";
    button.addEventListener("click", () =>
      openMenu(button, items, items.indexOf(current()), (index) => {
        choose(items[index] as string);
        this.done();
      }),
    );
    this.redraws.push(() => setText(button, current().toLowerCase()));
    this.element.append(button);
  }
}
