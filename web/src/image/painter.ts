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
  const gl = hasGraphicsCard()
    ? canvas.getContext("webgl2", { antialias: false, alpha: true, preserveDrawingBuffer: true })
    : null;
  if (gl) return new ShaderPainter(gl);
  const context = canvas.getContext("2d");
  if (!context) throw new Error("this browser can draw neither with WebGL 2 nor on a canvas");
  return new PlainPainter(context);
}

// Browsers simulate a card where there is none; that takes several times as long as the plain painter.
const SIMULATED = /swiftshader|llvmpipe|softpipe|software|basic render/i;
let known: boolean | undefined;

function hasGraphicsCard(): boolean {
  if (known === undefined) {
    const gl = document.createElement("canvas").getContext("webgl2", { failIfMajorPerformanceCaveat: true });
    const details = gl?.getExtension("WEBGL_debug_renderer_info");
    const name: unknown = gl?.getParameter(details ? details.UNMASKED_RENDERER_WEBGL : gl.RENDERER);
    known = gl !== null && !SIMULATED.test(String(name));
    gl?.getExtension("WEBGL_lose_context")?.loseContext();
  }
  return known;
}
