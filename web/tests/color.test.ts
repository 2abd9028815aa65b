import { expect, it } from "vitest";
import { color, css, legible, namedColor, readable } from "../src/color";

it("greys are mirrored in a dark room, with their tint", () => {
  expect(color([255, 255, 255]).dark).toEqual([30, 30, 30, 255]);
  expect(color([0, 0, 0]).dark).toEqual([225, 225, 225, 255]);
  const [red = 0, green = 0, blue = 0] = color([200, 204, 208]).dark;
  expect([green - red, blue - green]).toEqual([4, 4]);
});

it("saturated colours stay, but for those that would vanish on black", () => {
  expect(color([255, 128, 0]).dark).toEqual([255, 128, 0, 255]);
  expect((color([0, 0, 255]).dark[0] ?? 0) > 60).toBe(true);
});

it("severities are the same in every room", () => {
  for (const name of ["MINOR", "MAJOR", "INVALID"]) expect(namedColor(name).light).toEqual(namedColor(name).dark);
});

it("style sheets get both rooms", () => {
  expect(css(color([255, 255, 255]))).toBe("light-dark(rgb(255 255 255), rgb(30 30 30))");
  expect(css(color([255, 0, 0, 128]))).toBe("rgb(255 0 0 / 0.502)");
});

it("text on a lamp is dark on bright, bright on dark", () => {
  expect(legible(color([255, 255, 0])).light[0]).toBe(20);
  expect(legible(color([60, 100, 60])).light[0]).toBe(245);
});

it("white text on red stays white in the dark, where the red stays red", () => {
  const [red, white, grey] = [color([140, 20, 20]), color([255, 255, 255]), color([240, 240, 240])];
  expect(readable(white, red).dark[0]).toBe(245);
  expect(readable(white, red).light).toEqual([255, 255, 255]);
  const black = color([0, 0, 0]);
  expect(readable(black, grey)).toBe(black);
});
