import { describe, expect, it } from "vitest";
import { colorMap } from "../src/image/colormaps";
import { placeOf, STRETCHES, valueAt } from "../src/image/contrast";
import { decodeFrame, exactPixel } from "../src/image/frame";
import { Viewport } from "../src/image/viewport";

interface Header {
  readonly factor?: number;
  readonly flags?: number;
  readonly mask?: number;
  readonly x0?: number;
  readonly y0?: number;
}

/** A frame of 3 columns and 2 rows, u16. */
function frame(
  { factor = 1, flags = 1, mask = 0, x0 = 0, y0 = 0 }: Header,
  pixels = [0, 1, 2, 300, 40000, 65535],
): ArrayBuffer {
  const data = new ArrayBuffer(72 + pixels.length * 2);
  const view = new DataView(data);
  [..."DIMG"].forEach((letter, index) => view.setUint8(index, letter.charCodeAt(0)));
  [1, 2, flags, 1].forEach((value, index) => view.setUint8(4 + index, value));
  view.setUint16(8, 7, true);
  view.setUint16(10, factor, true);
  [99].forEach((value) => view.setUint32(12, value, true));
  view.setFloat64(16, 1795173600.5, true);
  [640, 480, x0, y0, 3, 2].forEach((value, index) => view.setUint32(24 + 4 * index, value, true));
  [0.5, 65000, mask].forEach((value, index) => view.setFloat64(48 + 8 * index, value, true));
  pixels.forEach((value, index) => view.setUint16(72 + 2 * index, value, true));
  return data;
}

describe("a frame", () => {
  it("has a header and its pixels, row by row", () => {
    const read = decodeFrame(frame({ x0: 10, y0: 20 }));
    expect([read.view, read.seq, read.time, read.imageWidth, read.imageHeight]).toEqual([
      7, 99, 1795173600.5, 640, 480,
    ]);
    expect([read.columns, read.rows, read.low, read.high, [...read.pixels]]).toEqual([
      3,
      2,
      0.5,
      65000,
      [0, 1, 2, 300, 40000, 65535],
    ]);
    expect([exactPixel(read, 11, 21), exactPixel(read, 12, 20), exactPixel(read, 13, 20)]).toEqual([
      40000,
      2,
      undefined,
    ]);
  });

  it("tells no pixel that it reduced or converted", () => {
    expect(exactPixel(decodeFrame(frame({ factor: 4 })), 0, 0)).toBeUndefined();
    expect(exactPixel(decodeFrame(frame({ flags: 0 })), 0, 0)).toBeUndefined();
  });

  it("knows bad pixels", () => {
    expect(exactPixel(decodeFrame(frame({ flags: 3, mask: 65535 })), 2, 1)).toBeNull();
    expect(exactPixel(decodeFrame(frame({ flags: 1, mask: 65535 })), 2, 1)).toBe(65535);
  });

  it("that is cut off, or something else, is refused", () => {
    expect(() => decodeFrame(frame({}).slice(0, -1))).toThrow(/has 83 bytes, not 84/);
    expect(() => decodeFrame(new ArrayBuffer(10))).toThrow(/shorter than its header/);
    expect(() => decodeFrame(new ArrayBuffer(100))).toThrow(/not a frame/);
  });
});

describe("what is seen of an image", () => {
  const viewport = (): Viewport => {
    const made = new Viewport();
    made.resize(1056, 512, 800, 600);
    return made;
  };

  it("is first all of it, in the middle", () => {
    const all = viewport();
    expect(all.visible).toEqual({ x: 0, y: 0, width: 1056, height: 512 });
    expect(all.pixelAt(400, 300)).toEqual([528, 256]);
    expect(all.pixelAt(400, 5)).toBeUndefined();
  });

  it("stays under the cursor while zooming", () => {
    const zoomed = viewport();
    const before = zoomed.toImage(600, 350);
    zoomed.zoom(5, 600, 350);
    const after = zoomed.toImage(600, 350);
    expect(after[0]).toBeCloseTo(before[0]);
    expect(after[1]).toBeCloseTo(before[1]);
    expect(zoomed.visible.width).toBeLessThan(1056 / 4);
  });

  it("cannot leave the canvas, and zooming out ends with all of it", () => {
    const moved = viewport();
    moved.zoom(8, 400, 300);
    moved.pan(1e6, -1e6);
    expect(moved.visible.x).toBe(0);
    expect(moved.visible.y + moved.visible.height).toBe(512);
    moved.zoom(1e-6, 0, 0);
    expect(moved.fitted).toBe(true);
  });
});

describe("contrast", () => {
  it("maps the range to the colour map, whatever the stretch", () => {
    for (const stretch of STRETCHES) {
      const contrast = { low: 10, high: 20, stretch };
      expect(
        [placeOf(5, contrast), placeOf(10, contrast), placeOf(20, contrast), placeOf(99, contrast)].map((place) =>
          Number(place.toFixed(9)),
        ),
      ).toEqual([0, 0, 1, 1]);
      for (const place of [0.1, 0.5, 0.9]) expect(placeOf(valueAt(place, contrast), contrast)).toBeCloseTo(place);
    }
  });

  it("log and asinh lift what is faint", () => {
    const places = STRETCHES.map((stretch) => placeOf(1, { low: 0, high: 100, stretch }));
    expect(places[0]).toBeCloseTo(0.01);
    expect(Math.min(...places.slice(1))).toBeGreaterThan(0.05);
  });

  it("colour maps begin and end where they should", () => {
    expect([...colorMap("VIRIDIS").slice(0, 4)]).toEqual([68, 1, 84, 255]);
    expect([...colorMap("GRAY").slice(-4)]).toEqual([255, 255, 255, 255]);
    expect([...colorMap("unknown")]).toEqual([...colorMap("VIRIDIS")]);
  });
});
