// Painting without a graphics card.

import { COLORS } from "./colormaps";
import { type Contrast, placeOf } from "./contrast";
import { type Frame, isBad } from "./frame";
import type { Painter } from "./painter";
import { placed, type Viewport } from "./viewport";

export class PlainPainter implements Painter {
  readonly kind = "2d";
  private frame: Frame | undefined;
  private colors: Uint8ClampedArray = new Uint8ClampedArray(COLORS * 4);
  private readonly buffer = document.createElement("canvas");
  private filled = "";

  constructor(private readonly context: CanvasRenderingContext2D) {}

  load(frame: Frame): void {
    this.frame = frame;
    this.filled = "";
  }

  setColors(colors: Uint8ClampedArray<ArrayBuffer>): void {
    this.colors = colors;
    this.filled = "";
  }

  paint(viewport: Viewport, contrast: Contrast): void {
    const { context, frame } = this;
    context.clearRect(0, 0, context.canvas.width, context.canvas.height);
    if (!frame?.columns || !frame.rows) return;
    const key = JSON.stringify(contrast);
    if (key !== this.filled) this.fill(frame, contrast);
    this.filled = key;
    context.imageSmoothingEnabled = false;
    context.drawImage(this.buffer, ...placed(frame, viewport));
  }

  close(): void {
    this.frame = undefined;
  }

  private fill(frame: Frame, contrast: Contrast): void {
    this.buffer.width = frame.columns;
    this.buffer.height = frame.rows;
    const context = this.buffer.getContext("2d") as CanvasRenderingContext2D;
    const image = context.createImageData(frame.columns, frame.rows);
    const target = new Uint32Array(image.data.buffer);
    const colors = new Uint32Array(this.colors.slice().buffer);
    for (const [index, value] of frame.pixels.entries())
      // Bad pixels stay transparent: the ground shows through.
      target[index] = isBad(frame, value) ? 0 : (colors[Math.round(placeOf(value, contrast) * (COLORS - 1))] as number);
    context.putImageData(image, 0, 0);
  }
}
