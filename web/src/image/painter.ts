// Paints a frame on a canvas: on the graphics card where there is one, otherwise by the processor.

import type { Contrast } from "./contrast";
import type { Frame } from "./frame";
import { PlainPainter } from "./painter_plain";
import { ShaderPainter } from "./painter_shader";
import type { Viewport } from "./viewport";

export interface Painter {
  readonly kind: "webgl2" | "2d";
  load(frame: Frame): void;
  setColors(colors: Uint8ClampedArray<ArrayBuffer>): void;
  /** Paints the loaded frame where `viewport` sees it. */
  paint(viewport: Viewport, contrast: Contrast): void;
  /** Gives back what the graphics card holds. */
  close(): void;
}

export function painterFor(canvas: HTMLCanvasElement): Painter {
  const gl = canvas.getContext("webgl2", { antialias: false, alpha: true, preserveDrawingBuffer: true });
  if (gl) return new ShaderPainter(gl);
  const context = canvas.getContext("2d");
  if (!context) throw new Error("this browser can draw neither with WebGL 2 nor on a canvas");
  return new PlainPainter(context);
}
