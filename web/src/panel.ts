// One displayed .bob file: the panel of the address, or one that is embedded in another.

import { fileUrl } from "./address";
import { type DisplayModel, parseBob, type WidgetModel } from "./bob";
import { Container } from "./container";
import { make, px } from "./dom";
import type { Macros } from "./macros";
import type { Page } from "./page";
import { WIDGETS } from "./widgets";

export interface Panel {
  readonly page: Page;
  /** Path below opi/: what it names is looked for beside it. */
  readonly file: string;
  /** 0: the panel of the address; 1: embedded in it. */
  readonly depth: number;
}

const DEEPEST = 8;

/** Reads a panel. Throws when there is none, or none that can be understood. */
export async function readPanel(panel: Panel, macros: Macros): Promise<DisplayModel> {
  if (panel.depth > DEEPEST) throw new Error(`${panel.file}: panels embed each other without end`);
  const answer = await fetch(fileUrl(panel.file), { cache: "no-cache" });
  if (!answer.ok)
    throw new Error(`there is no panel ${panel.file} (${answer.status} ${answer.statusText})`.replace(" )", ")"));
  return parseBob(await answer.text(), macros);
}

/** Makes the widgets in `host`; the result closes them. */
export function showWidgets(models: readonly WidgetModel[], host: Element, panel: Panel): () => void {
  const containers = models.filter(isVisible).map((model) => {
    const container = new Container(model, panel);
    const draw = WIDGETS[model.type];
    if (model.faults.length || !draw) container.fail(model.faults.join("; ") || "it cannot be drawn here");
    else container.build(draw);
    return container;
  });
  host.append(...containers.map((container) => container.element));
  return () => {
    for (const container of containers) {
      container.close();
      container.element.remove();
    }
  };
}

function isVisible({ properties }: WidgetModel): boolean {
  return !properties.has("visible") || properties.flag("visible");
}

export interface Size {
  readonly width: number;
  readonly height: number;
}

export function sizeOf(model: DisplayModel): Size {
  return { width: model.properties.number("width"), height: model.properties.number("height") };
}

/** An element of the panel's size, in which its widgets have their places. */
export function sheet({ width, height }: Size): HTMLElement {
  const element = make("div", "sheet");
  element.style.width = px(width);
  element.style.height = px(height);
  return element;
}
