// Painting with WebGL 2: the raw pixels are a texture, contrast and colour map are applied on the graphics card.

import { COLORS } from "./colormaps";
import { type Contrast, STEEP, STRETCHES } from "./contrast";
import type { Frame } from "./frame";
import type { Painter } from "./painter";
import { placed, type Viewport } from "./viewport";

const VERTEX = `#version 300 es
uniform vec4 place;
out vec2 at;
void main() {
  at = vec2(gl_VertexID & 1, gl_VertexID >> 1);
  vec2 canvas = place.xy + at * place.zw;
  gl_Position = vec4(canvas.x * 2.0 - 1.0, 1.0 - canvas.y * 2.0, 0.0, 1.0);
}`;

const fragment = (sampler: string): string => `#version 300 es
precision highp float;
precision highp int;
precision highp ${sampler};
uniform ${sampler} pixels;
uniform sampler2D colors;
uniform vec2 range;
uniform int stretch;
uniform bool masked;
uniform float mask;
in vec2 at;
out vec4 color;
void main() {
  ivec2 size = textureSize(pixels, 0);
  ivec2 cell = min(ivec2(at * vec2(size)), size - 1);
  float value = float(texelFetch(pixels, cell, 0).r);
  if (isnan(value) || (masked && value == mask)) { color = vec4(0.0); return; }
  float part = clamp((value - range.x) / (range.y == range.x ? 1.0 : range.y - range.x), 0.0, 1.0);
  if (stretch == 1) part = log(1.0 + ${STEEP}.0 * part) / log(1.0 + ${STEEP}.0);
  if (stretch == 2) part = asinh(${STEEP / 20}.0 * part) / asinh(${STEEP / 20}.0);
  color = texelFetch(colors, ivec2(int(part * ${COLORS - 1}.0 + 0.5), 0), 0);
}`;

interface Store {
  readonly sampler: "usampler2D" | "isampler2D" | "sampler2D";
  readonly internal: number;
  readonly format: number;
  readonly type: number;
}

export class ShaderPainter implements Painter {
  readonly kind = "webgl2";
  private readonly programs = new Map<string, WebGLProgram>();
  private readonly pixels: WebGLTexture;
  private readonly colors: WebGLTexture;
  private frame: Frame | undefined;

  constructor(private readonly gl: WebGL2RenderingContext) {
    this.pixels = this.texture(0);
    this.colors = this.texture(1);
    gl.pixelStorei(gl.UNPACK_ALIGNMENT, 1);
  }

  load(frame: Frame): void {
    const { gl } = this;
    const { internal, format, type } = this.store(frame);
    this.frame = frame;
    gl.activeTexture(gl.TEXTURE0);
    gl.bindTexture(gl.TEXTURE_2D, this.pixels);
    gl.texImage2D(gl.TEXTURE_2D, 0, internal, frame.columns, frame.rows, 0, format, type, frame.pixels);
  }

  setColors(colors: Uint8ClampedArray<ArrayBuffer>): void {
    const { gl } = this;
    gl.activeTexture(gl.TEXTURE1);
    gl.bindTexture(gl.TEXTURE_2D, this.colors);
    gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA, COLORS, 1, 0, gl.RGBA, gl.UNSIGNED_BYTE, new Uint8Array(colors.buffer));
  }

  paint(viewport: Viewport, { low, high, stretch }: Contrast): void {
    const { gl, frame } = this;
    const { width, height } = gl.canvas;
    gl.viewport(0, 0, width, height);
    gl.clearColor(0, 0, 0, 0);
    gl.clear(gl.COLOR_BUFFER_BIT);
    if (!frame?.columns || !frame.rows) return;
    const program = this.program(this.store(frame).sampler);
    gl.useProgram(program);
    const at = (name: string): WebGLUniformLocation | null => gl.getUniformLocation(program, name);
    const [left, top, wide, tall] = placed(frame, viewport);
    gl.uniform4f(at("place"), left / width, top / height, wide / width, tall / height);
    gl.uniform1i(at("pixels"), 0);
    gl.uniform1i(at("colors"), 1);
    gl.uniform2f(at("range"), low, high);
    gl.uniform1i(at("stretch"), STRETCHES.indexOf(stretch));
    gl.uniform1i(at("masked"), frame.mask === undefined ? 0 : 1);
    gl.uniform1f(at("mask"), frame.mask ?? 0);
    gl.drawArrays(gl.TRIANGLE_STRIP, 0, 4);
  }

  // A browser has few contexts; those of closed panels would otherwise be kept until they are collected.
  close(): void {
    this.gl.getExtension("WEBGL_lose_context")?.loseContext();
  }

  private store({ pixels }: Frame): Store {
    const { gl } = this;
    if (pixels instanceof Uint8Array)
      return { sampler: "usampler2D", internal: gl.R8UI, format: gl.RED_INTEGER, type: gl.UNSIGNED_BYTE };
    if (pixels instanceof Uint16Array)
      return { sampler: "usampler2D", internal: gl.R16UI, format: gl.RED_INTEGER, type: gl.UNSIGNED_SHORT };
    if (pixels instanceof Int32Array)
      return { sampler: "isampler2D", internal: gl.R32I, format: gl.RED_INTEGER, type: gl.INT };
    return { sampler: "sampler2D", internal: gl.R32F, format: gl.RED, type: gl.FLOAT };
  }

  private texture(unit: number): WebGLTexture {
    const { gl } = this;
    const texture = gl.createTexture();
    gl.activeTexture(gl.TEXTURE0 + unit);
    gl.bindTexture(gl.TEXTURE_2D, texture);
    // Integer and float textures cannot be interpolated, and pixels of a detector should not be.
    for (const filter of [gl.TEXTURE_MIN_FILTER, gl.TEXTURE_MAG_FILTER])
      gl.texParameteri(gl.TEXTURE_2D, filter, gl.NEAREST);
    return texture;
  }

  private program(sampler: string): WebGLProgram {
    const known = this.programs.get(sampler);
    if (known) return known;
    const { gl } = this;
    const program = gl.createProgram();
    for (const [type, source] of [
      [gl.VERTEX_SHADER, VERTEX],
      [gl.FRAGMENT_SHADER, fragment(sampler)],
    ] as const) {
      const shader = gl.createShader(type) as WebGLShader;
      gl.shaderSource(shader, source);
      gl.compileShader(shader);
      gl.attachShader(program, shader);
    }
    gl.linkProgram(program);
    if (!gl.getProgramParameter(program, gl.LINK_STATUS))
      throw new Error(`shader: ${gl.getProgramInfoLog(program) ?? "not linked"}`);
    this.programs.set(sampler, program);
    return program;
  }
}
