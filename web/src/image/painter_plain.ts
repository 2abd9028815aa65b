// Painting without a graphics card.

import { COLORS } from "./colormaps";
import { type Contrast, placeOf } from "./contrast";
import type { Frame } from "./frame";
import type { Painter } from "./painter";
import { placed, type Viewport } from "./viewport";

// Steps between the darkest and the brightest colour: so many that log and asinh miss no colour at their steep ends.
const STEPS = 65536;

export class PlainPainter implements Painter {
  readonly kind = "2d";
  private frame: Frame | undefined;
  private colors: Uint32Array = new Uint32Array(COLORS);
  private readonly table = new Uint32Array(STEPS);
  private tabled = "";
  private readonly buffer = document.createElement("canvas");
  private image: ImageData | undefined;
  private isFilled = false;

  constructor(private readonly context: CanvasRenderingContext2D) {}

  load(frame: Frame): void {
    this.frame = frame;
    this.isFilled = false;
  }

  setColors(colors: Uint8ClampedArray<ArrayBuffer>): void {
    this.colors = new Uint32Array(colors.slice().buffer);
    this.tabled = "";
  }

  paint(viewport: Viewport, contrast: Contrast): void {
    const { context, frame } = this;
    context.clearRect(0, 0, context.canvas.width, context.canvas.height);
    if (!frame?.columns || !frame.rows) return;
    this.tabulate(contrast);
    if (!this.isFilled) this.fill(frame, contrast);
    context.imageSmoothingEnabled = false;
    context.drawImage(this.buffer, ...placed(frame, viewport));
  }

  close(): void {
    this.frame = undefined;
  }

  /** The colours from `low` to `high` in equal steps: a logarithm for each pixel would take longer than all the rest. */
  private tabulate(contrast: Contrast): void {
    const key = JSON.stringify(contrast);
    if (key === this.tabled) return;
    this.tabled = key;
    this.isFilled = false;
    const parts = { ...contrast, low: 0, high: STEPS - 1 };
    for (let step = 0; step < STEPS; step++)
      this.table[step] = this.colors[Math.round(placeOf(step, parts) * (COLORS - 1))] as number;
  }

  private fill({ columns, rows, pixels, mask }: Frame, { low, high }: Contrast): void {
    const { buffer, table } = this;
    if (buffer.width !== columns || buffer.height !== rows) this.image = undefined;
    const context = buffer.getContext("2d") as CanvasRenderingContext2D;
    if (!this.image) {
      [buffer.width, buffer.height] = [columns, rows];
      this.image = context.createImageData(columns, rows);
    }
    const target = new Uint32Array(this.image.data.buffer);
    const scale = (STEPS - 1) / (high - low || 1);
    for (let index = 0; index < pixels.length; index++) {
      const value = pixels[index] as number;
      const step = (value - low) * scale + 0.5;
      // Bad pixels stay transparent: the ground shows through.
      if (value === mask || step !== step) target[index] = 0;
      else target[index] = table[step < 0 ? 0 : step >= STEPS ? STEPS - 1 : step | 0] as number;
    }
    context.putImageData(this.image, 0, 0);
    this.isFilled = true;
  }
}
