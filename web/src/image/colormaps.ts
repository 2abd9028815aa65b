// Colour maps as 256 colours. Viridis, magma and inferno: support points of the maps that matplotlib gave into the public
// domain (CC0), joined by straight lines; jet, hot and cool by their usual formulas.

type Rgb = readonly [red: number, green: number, blue: number];

const POINTS: Readonly<Record<string, readonly Rgb[]>> = {
  VIRIDIS: [
    [68, 1, 84],
    [72, 40, 120],
    [62, 74, 137],
    [49, 104, 142],
    [38, 130, 142],
    [31, 158, 137],
    [53, 183, 121],
    [109, 205, 89],
    [180, 222, 44],
    [253, 231, 37],
  ],
  MAGMA: [
    [0, 0, 4],
    [28, 16, 68],
    [79, 18, 123],
    [129, 37, 129],
    [181, 54, 122],
    [229, 80, 100],
    [251, 135, 97],
    [254, 194, 135],
    [252, 253, 191],
  ],
  INFERNO: [
    [0, 0, 4],
    [31, 12, 72],
    [85, 15, 109],
    [136, 34, 106],
    [186, 54, 85],
    [227, 89, 51],
    [249, 140, 10],
    [249, 201, 50],
    [252, 255, 164],
  ],
  GRAY: [
    [0, 0, 0],
    [255, 255, 255],
  ],
  HOT: [
    [0, 0, 0],
    [255, 0, 0],
    [255, 255, 0],
    [255, 255, 255],
  ],
  COOL: [
    [0, 255, 255],
    [255, 0, 255],
  ],
  JET: [
    [0, 0, 128],
    [0, 0, 255],
    [0, 128, 255],
    [0, 255, 255],
    [128, 255, 128],
    [255, 255, 0],
    [255, 128, 0],
    [255, 0, 0],
    [128, 0, 0],
  ],
};

export const COLOR_MAPS = Object.keys(POINTS);
export const COLORS = 256;

/** Red, green, blue, alpha of 256 colours; of viridis when there is no map of this name. */
export function colorMap(name: string): Uint8ClampedArray<ArrayBuffer> {
  const points = POINTS[name] ?? (POINTS.VIRIDIS as readonly Rgb[]);
  const colors = new Uint8ClampedArray(COLORS * 4);
  for (let index = 0; index < COLORS; index++) {
    const place = (index / (COLORS - 1)) * (points.length - 1);
    const before = points[Math.floor(place)] as Rgb;
    const after = points[Math.ceil(place)] as Rgb;
    for (let channel = 0; channel < 3; channel++) {
      const [low, high] = [before[channel] as number, after[channel] as number];
      colors[index * 4 + channel] = low + (high - low) * (place % 1);
    }
    colors[index * 4 + 3] = 255;
  }
  return colors;
}
