// Which part of an image is on the canvas: geometry only.

import type { Frame } from "./frame";
import type { Rectangle } from "./streams";

const CLOSEST = 4; // image pixels across the canvas at the highest zoom

/** In image pixels: the top left corner and the size of what is on the canvas, which may be more than the image. */
export class Viewport {
  x = 0;
  y = 0;
  /** Canvas pixels per image pixel. */
  scale = 1;
  private imageWidth = 1;
  private imageHeight = 1;
  private canvasWidth = 1;
  private canvasHeight = 1;
  /** The whole image is shown, and stays so when sizes change. */
  fitted = true;

  /** Tells the sizes; true if that changed what is seen. */
  resize(imageWidth: number, imageHeight: number, canvasWidth: number, canvasHeight: number): boolean {
    const before = [this.imageWidth, this.imageHeight, this.canvasWidth, this.canvasHeight].join();
    if (before === [imageWidth, imageHeight, canvasWidth, canvasHeight].join()) return false;
    Object.assign(this, { imageWidth, imageHeight, canvasWidth, canvasHeight });
    if (this.fitted) this.fit();
    return true;
  }

  fit(): void {
    this.fitted = true;
    this.scale = this.fittingScale;
    this.x = this.imageWidth / 2 - this.canvasWidth / this.scale / 2;
    this.y = this.imageHeight / 2 - this.canvasHeight / this.scale / 2;
  }

  private get fittingScale(): number {
    return Math.min(this.canvasWidth / this.imageWidth, this.canvasHeight / this.imageHeight);
  }

  /** Zooms so that the image pixel under the canvas point stays there. */
  zoom(factor: number, canvasX: number, canvasY: number): void {
    const [x, y] = this.toImage(canvasX, canvasY);
    const closest = Math.min(this.canvasWidth, this.canvasHeight) / CLOSEST;
    const scale = Math.min(Math.max(this.scale * factor, this.fittingScale), Math.max(closest, this.fittingScale));
    if (scale === this.fittingScale && factor < 1) return this.fit();
    this.fitted = false;
    this.scale = scale;
    this.x = x - canvasX / scale;
    this.y = y - canvasY / scale;
    this.keep();
  }

  pan(canvasX: number, canvasY: number): void {
    if (this.fitted) return;
    this.x -= canvasX / this.scale;
    this.y -= canvasY / this.scale;
    this.keep();
  }

  // The middle of the canvas stays within the image.
  private keep(): void {
    const [halfWidth, halfHeight] = [this.canvasWidth / this.scale / 2, this.canvasHeight / this.scale / 2];
    this.x = Math.min(Math.max(this.x, -halfWidth), this.imageWidth - halfWidth);
    this.y = Math.min(Math.max(this.y, -halfHeight), this.imageHeight - halfHeight);
  }

  toImage(canvasX: number, canvasY: number): readonly [x: number, y: number] {
    return [this.x + canvasX / this.scale, this.y + canvasY / this.scale];
  }

  toCanvas(x: number, y: number): readonly [canvasX: number, canvasY: number] {
    return [(x - this.x) * this.scale, (y - this.y) * this.scale];
  }

  /** The pixel under a canvas point, or undefined beside the image. */
  pixelAt(canvasX: number, canvasY: number): readonly [x: number, y: number] | undefined {
    const [x, y] = this.toImage(canvasX, canvasY).map(Math.floor) as [number, number];
    return x >= 0 && y >= 0 && x < this.imageWidth && y < this.imageHeight ? [x, y] : undefined;
  }

  /** What of the image is seen, in whole pixels. */
  get visible(): Rectangle {
    const x = Math.max(0, Math.floor(this.x));
    const y = Math.max(0, Math.floor(this.y));
    const right = Math.min(this.imageWidth, Math.ceil(this.x + this.canvasWidth / this.scale));
    const bottom = Math.min(this.imageHeight, Math.ceil(this.y + this.canvasHeight / this.scale));
    return { x, y, width: Math.max(1, right - x), height: Math.max(1, bottom - y) };
  }
}

/** Where a frame lies on the canvas: [left, top, width, height]. */
export function placed(frame: Frame, viewport: Viewport): readonly [number, number, number, number] {
  const [left, top] = viewport.toCanvas(frame.x0, frame.y0);
  const size = frame.factor * viewport.scale;
  return [left, top, frame.columns * size, frame.rows * size];
}
