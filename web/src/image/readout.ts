// The true value of the pixel under the cursor: from the frame where it is exact, otherwise asked of the server.

import { make, setText } from "../dom";
import { messageOf } from "../faults";
import { formatNumber } from "../format";
import { exactPixel, type Frame } from "./frame";
import type { View } from "./streams";

type Pixel = readonly [x: number, y: number];

export class Readout {
  readonly element = make("output", "readout");
  private pixel: Pixel | undefined;
  private frame: Frame | undefined;
  private asking = false;
  private answered = "";
  units = "";

  constructor(private readonly view: () => View) {}

  point(pixel: Pixel | undefined): void {
    if (pixel?.join() === this.pixel?.join()) return;
    this.pixel = pixel;
    this.read();
  }

  show(frame: Frame): void {
    this.frame = frame;
    this.read();
  }

  private read(): void {
    const { frame, pixel } = this;
    if (!frame || !pixel) return this.write(frame ? this.about(frame) : "");
    const value = exactPixel(frame, ...pixel);
    if (value === undefined) void this.probe(pixel);
    else this.tell(pixel, value);
  }

  /** One question at a time; the newest pixel next. */
  private async probe(pixel: Pixel): Promise<void> {
    if (this.answered !== pixel.join()) this.write(`x ${pixel[0]}  y ${pixel[1]}  ...`);
    if (this.asking) return;
    this.asking = true;
    const seq = this.frame?.seq;
    try {
      const answer = await this.view().probe(...pixel);
      if (pixel.join() === this.pixel?.join()) {
        this.answered = pixel.join();
        this.tell(pixel, answer.value);
      }
    } catch (error) {
      this.write(`x ${pixel[0]}  y ${pixel[1]}  ${messageOf(error)}`);
    } finally {
      this.asking = false;
    }
    if (this.pixel && (this.pixel.join() !== pixel.join() || this.frame?.seq !== seq)) this.read();
  }

  private tell([x, y]: Pixel, value: unknown): void {
    const text =
      value === null || value === undefined
        ? "bad"
        : typeof value === "number"
          ? formatNumber(value, "default", undefined)
          : String(value);
    this.write(`x ${x}  y ${y}  ${text}${this.units && text !== "bad" ? ` ${this.units}` : ""}`);
    this.element.dataset.value = text;
  }

  private about({ imageWidth, imageHeight, factor, reduce }: Frame): string {
    const reduced = factor > 1 ? `, 1:${factor} ${reduce}` : "";
    return `${imageWidth} × ${imageHeight}${reduced}`;
  }

  private write(text: string): void {
    delete this.element.dataset.value;
    setText(this.element, text);
  }
}
