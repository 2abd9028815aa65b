// From a pixel value to a place on the colour map.

export const STRETCHES = ["linear", "log", "asinh"] as const;
export type Stretch = (typeof STRETCHES)[number];

export interface Contrast {
  readonly low: number;
  readonly high: number;
  readonly stretch: Stretch;
}

/** How steep log and asinh begin; the shaders have the same number. */
export const STEEP = 1000;

/** 0 to 1; the painters on the graphics card compute the same. */
export function placeOf(value: number, { low, high, stretch }: Contrast): number {
  const part = Math.max(0, Math.min(1, (value - low) / (high - low || 1)));
  if (stretch === "log") return Math.log1p(STEEP * part) / Math.log1p(STEEP);
  return stretch === "asinh" ? Math.asinh((STEEP / 20) * part) / Math.asinh(STEEP / 20) : part;
}

/** The value at a place of the colour map: the inverse of `placeOf`. */
export function valueAt(place: number, { low, high, stretch }: Contrast): number {
  const part =
    stretch === "log"
      ? Math.expm1(place * Math.log1p(STEEP)) / STEEP
      : stretch === "asinh"
        ? Math.sinh(place * Math.asinh(STEEP / 20)) / (STEEP / 20)
        : place;
  return low + part * (high - low);
}

/** The range after the pointer was dragged by a part of the canvas: sideways moves it, up and down changes its width. */
export function dragged(contrast: Contrast, right: number, down: number): Contrast {
  const width = contrast.high - contrast.low;
  const center = contrast.low + width / 2 - right * width;
  const half = (width / 2) * 2 ** (down * 3);
  return { ...contrast, low: center - half, high: center + half };
}
