// Values as text, by the formats of Phoebus. Precision is for the eye only; the data are never rounded.

import type { Pv } from "./pv";

export interface Format {
  /** A word of the enum `format` in widgets.json. */
  readonly format: string;
  /** Digits behind the point; -1: those of the PV. */
  readonly precision: number;
  readonly units: boolean;
}

export const PLAIN: Format = { format: "default", precision: -1, units: false };

const SHOWN_ELEMENTS = 100;
const SIGNIFICANT = 6;

export function formatPv(pv: Pv, format: Format): string {
  const text = formatValue(pv, format);
  return format.units && pv.units && text !== "" ? `${text} ${pv.units}` : text;
}

function formatValue(pv: Pv, { format, precision }: Format): string {
  const { value } = pv;
  const digits = precision >= 0 ? precision : pv.precision;
  if (value === undefined) return "";
  if (typeof value === "string") return value;
  if (typeof value === "number") {
    if (pv.isEnum && ["default", "string"].includes(format)) return pv.text ?? pv.labels[value] ?? String(value);
    if (pv.text !== undefined && !pv.isEnum && ["default", "decimal"].includes(format)) return pv.text;
    return formatNumber(value, format, digits);
  }
  if (format === "string" && value instanceof Uint8Array) return textOfBytes(value);
  return formatArray(value, format, digits);
}

function formatArray(values: ArrayLike<number | string>, format: string, digits: number | undefined): string {
  const shown = Array.from(
    { length: Math.min(values.length, SHOWN_ELEMENTS) },
    (_, index) => values[index] as number | string,
  );
  const texts = shown.map((each) => (typeof each === "string" ? each : formatNumber(each, format, digits)));
  return values.length > SHOWN_ELEMENTS
    ? `[${texts.join(", ")}, ... ${values.length} values]`
    : `[${texts.join(", ")}]`;
}

/** A C string in an array of characters. */
export function textOfBytes(bytes: Uint8Array): string {
  const end = bytes.indexOf(0);
  return new TextDecoder().decode(end < 0 ? bytes : bytes.subarray(0, end));
}

export function formatNumber(value: number, format: string, digits: number | undefined): string {
  if (!Number.isFinite(value)) return Number.isNaN(value) ? "NaN" : value > 0 ? "Infinity" : "-Infinity";
  switch (format) {
    case "exponential":
      return exponential(value, digits ?? SIGNIFICANT - 1);
    case "engineering":
      return engineering(value, digits ?? 3);
    case "compact":
      return value !== 0 && (Math.abs(value) < 1e-3 || Math.abs(value) >= 1e6)
        ? exponential(value, digits ?? 3)
        : decimal(value, digits);
    case "hex":
      return integer(value, 16, "0x", digits);
    case "binary":
      return integer(value, 2, "0b", digits);
    case "sexagesimal":
    case "sexagesimal_dms":
      return sexagesimal(value, digits ?? 7);
    case "sexagesimal_hms":
      return sexagesimal((value * 12) / Math.PI, digits ?? 7);
    case "sexagesimal_rad":
      return sexagesimal((value * 180) / Math.PI, digits ?? 7);
    default:
      return decimal(value, digits);
  }
}

function decimal(value: number, digits: number | undefined): string {
  if (digits !== undefined) return value.toFixed(Math.min(Math.max(digits, 0), 20));
  if (Number.isInteger(value) && Math.abs(value) < 1e15) return String(value);
  const size = Math.abs(value);
  return size < 1e-4 || size >= 1e9
    ? exponential(value, SIGNIFICANT - 1)
    : String(Number(value.toPrecision(SIGNIFICANT)));
}

function exponential(value: number, digits: number): string {
  return value.toExponential(Math.min(digits, 20)).replace("e", "E").replace("E+", "E");
}

/** The exponent is a multiple of three. */
function engineering(value: number, digits: number): string {
  if (value === 0) return `${(0).toFixed(digits)}E0`;
  let exponent = Math.floor(Math.log10(Math.abs(value)) / 3) * 3;
  let mantissa = (value / 10 ** exponent).toFixed(digits);
  if (Math.abs(Number(mantissa)) >= 1000) {
    exponent += 3;
    mantissa = (value / 10 ** exponent).toFixed(digits);
  }
  return `${mantissa}E${exponent}`;
}

function integer(value: number, base: number, prefix: string, digits: number | undefined): string {
  const whole = Math.trunc(value);
  // Negative integers as the 32 bits of the hardware; beyond 32 bits there is no width to complement in.
  const bits = whole < 0 && whole >= -(2 ** 31) ? whole + 2 ** 32 : whole;
  const text = Math.abs(bits)
    .toString(base)
    .toUpperCase()
    .padStart(digits ?? 0, "0");
  return `${bits < 0 ? "-" : ""}${prefix}${text}`;
}

/** Degrees or hours, minutes and seconds: 12:30:36.00. `digits` counts all behind the first colon, as in Phoebus. */
function sexagesimal(value: number, digits: number): string {
  const decimals = Math.max(digits - 4, 0);
  const unit = 10 ** decimals;
  let rest = Math.round(Math.abs(value) * 3600 * unit);
  const seconds = (rest % (60 * unit)) / unit;
  rest = Math.floor(rest / (60 * unit));
  const width = decimals ? decimals + 3 : 2;
  const parts = [
    String(Math.floor(rest / 60)),
    String(rest % 60).padStart(2, "0"),
    seconds.toFixed(decimals).padStart(width, "0"),
  ];
  return `${value < 0 ? "-" : ""}${parts.join(":")}`;
}

/** 3 s, 4 min, 2 h, 5 d. */
export function formatAge(seconds: number): string {
  const size = Math.max(0, seconds);
  if (size < 100) return `${Math.floor(size)} s`;
  if (size < 6000) return `${Math.floor(size / 60)} min`;
  return size < 172800 ? `${Math.floor(size / 3600)} h` : `${Math.floor(size / 86400)} d`;
}

/** Local time with milliseconds; the date too when it is not today. */
export function formatTime(seconds: number): string {
  const date = new Date(seconds * 1000);
  const pad = (value: number, width = 2): string => String(value).padStart(width, "0");
  const time = `${pad(date.getHours())}:${pad(date.getMinutes())}:${pad(date.getSeconds())}.${pad(date.getMilliseconds(), 3)}`;
  const today = new Date().toDateString() === date.toDateString();
  return today ? time : `${date.getFullYear()}-${pad(date.getMonth() + 1)}-${pad(date.getDate())} ${time}`;
}
