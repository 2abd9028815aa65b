// A binary frame of the image socket: the header of docs/panel-sockets.md, then the pixels.

export type Pixels = Uint8Array | Uint16Array | Int32Array | Float32Array;

export interface Frame {
  readonly view: number;
  readonly seq: number;
  readonly time: number;
  /** No pixel was converted from a wider type. */
  readonly exact: boolean;
  readonly reduce: "none" | "max" | "mean";
  /** Image pixels per sent pixel, each way. */
  readonly factor: number;
  readonly imageWidth: number;
  readonly imageHeight: number;
  readonly x0: number;
  readonly y0: number;
  readonly columns: number;
  readonly rows: number;
  readonly low: number;
  readonly high: number;
  /** The value of bad pixels of integer types. */
  readonly mask: number | undefined;
  readonly pixels: Pixels;
}

const HEADER = 72;
const MAGIC = 0x474d4944; // "DIMG"
const VERSION = 1;
const TYPES = { 1: Uint8Array, 2: Uint16Array, 3: Int32Array, 4: Float32Array } as const;
const REDUCTIONS = ["none", "max", "mean"] as const;

export function decodeFrame(data: ArrayBuffer): Frame {
  if (data.byteLength < HEADER) throw new Error(`a frame of ${data.byteLength} bytes is shorter than its header`);
  const header = new DataView(data, 0, HEADER);
  const u16 = (at: number): number => header.getUint16(at, true);
  const u32 = (at: number): number => header.getUint32(at, true);
  const f64 = (at: number): number => header.getFloat64(at, true);
  if (u32(0) !== MAGIC || header.getUint8(4) !== VERSION) throw new Error("this is not a frame of version 1");
  const type = TYPES[header.getUint8(5) as keyof typeof TYPES];
  if (!type) throw new Error(`pixels of the type ${header.getUint8(5)} are unknown`);
  const [columns, rows] = [u32(40), u32(44)];
  const size = HEADER + columns * rows * type.BYTES_PER_ELEMENT;
  if (data.byteLength !== size)
    throw new Error(`a frame of ${columns} x ${rows} pixels has ${data.byteLength} bytes, not ${size}`);
  const flags = header.getUint8(6);
  return {
    view: u16(8),
    seq: u32(12),
    time: f64(16),
    exact: (flags & 1) !== 0,
    reduce: REDUCTIONS[header.getUint8(7)] ?? "none",
    factor: Math.max(1, u16(10)),
    imageWidth: u32(24),
    imageHeight: u32(28),
    x0: u32(32),
    y0: u32(36),
    columns,
    rows,
    low: f64(48),
    high: f64(56),
    mask: flags & 2 ? f64(64) : undefined,
    pixels: new type(data, HEADER, columns * rows),
  };
}

export function isBad(frame: Frame, value: number): boolean {
  return Number.isNaN(value) || value === frame.mask;
}

/** The true value of an image pixel if this frame has it; null: it is bad; undefined: it must be asked for. */
export function exactPixel(frame: Frame, x: number, y: number): number | null | undefined {
  if (!frame.exact || frame.factor !== 1) return undefined;
  const [column, row] = [x - frame.x0, y - frame.y0];
  if (column < 0 || row < 0 || column >= frame.columns || row >= frame.rows) return undefined;
  const value = frame.pixels[row * frame.columns + column] as number;
  return isBad(frame, value) ? null : value;
}
