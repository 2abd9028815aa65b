// Colours of a .bob file in a light and in a dark room. Named colours are the ones of widgets.json in both rooms; greys
// without a name are mirrored in the dark, everything saturated stays what it is.

import { SUBSET, type Rgba } from "./subset";

export interface Color {
  readonly light: Rgba;
  readonly dark: Rgba;
}

const SATURATED = 40;
const DARKEST_ON_DARK = 75;
const LEAST_CONTRAST = 70;
const LEAST_LINE = 150; // brightness of a thin line in the dark

function mirrored([red = 0, green = 0, blue = 0, alpha = 255]: Rgba): Rgba {
  const shifted = (to: (value: number) => number): Rgba => [
    ...[red, green, blue].map((value) => Math.round(Math.max(0, Math.min(255, to(value))))),
    alpha,
  ];
  if (Math.max(red, green, blue) - Math.min(red, green, blue) > SATURATED) {
    // Deep blue lines on black are not seen: dark colours become lighter, the others stay.
    const part = Math.max(0, 0.5 * (1 - brightness([red, green, blue]) / DARKEST_ON_DARK));
    return shifted((value) => value + part * (255 - value));
  }
  // White becomes 30, black 225: dark rooms want neither.
  const mean = (red + green + blue) / 3;
  return shifted((value) => value - mean + 225 - (mean / 255) * 195);
}

function brightness([red = 0, green = 0, blue = 0]: Rgba): number {
  return 0.299 * red + 0.587 * green + 0.114 * blue;
}

export function color(rgba: Rgba, name?: string): Color {
  const named = name === undefined ? undefined : SUBSET.colors[name];
  return named ?? { light: rgba, dark: mirrored(rgba) };
}

export function namedColor(name: string): Color {
  const named = SUBSET.colors[name];
  if (!named) throw new Error(`there is no colour ${name}`);
  return named;
}

function rgb([red = 0, green = 0, blue = 0, alpha = 255]: Rgba): string {
  return alpha === 255 ? `rgb(${red} ${green} ${blue})` : `rgb(${red} ${green} ${blue} / ${(alpha / 255).toFixed(3)})`;
}

/** For style sheets: follows the room by itself. */
export function css(value: Color): string {
  const [light, dark] = [rgb(value.light), rgb(value.dark)];
  return light === dark ? light : `light-dark(${light}, ${dark})`;
}

/** For canvases, which know nothing of rooms. */
export function paint(value: Color, dark: boolean): string {
  return rgb(dark ? value.dark : value.light);
}

/** `foreground` where it is legible on `background`; white text on a red that stays red in the dark must stay white. */
export function readable(foreground: Color, background: Color): Color {
  const away = Math.abs(brightness(foreground.dark) - brightness(background.dark));
  return away < LEAST_CONTRAST ? { light: foreground.light, dark: legible(background).dark } : foreground;
}

/** A line that is seen on the ground of both rooms: one that was chosen for a light ground is made lighter in the dark. */
export function visible(line: Color): Color {
  const { dark } = line;
  const lift = Math.max(0, LEAST_LINE - brightness(dark)) / 255;
  const [red, green, blue] = dark.slice(0, 3).map((part) => Math.round(part + (255 - part) * lift)) as [
    number,
    number,
    number,
  ];
  return { light: line.light, dark: [red, green, blue, dark[3] ?? 255] };
}

/** Black or white, whichever is legible on `value`. */
export function legible(value: Color): Color {
  const on = (ground: Rgba): Rgba => (brightness(ground) > 140 ? [20, 22, 24] : [245, 246, 247]);
  return { light: on(value.light), dark: on(value.dark) };
}
