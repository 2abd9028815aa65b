// What a person typed, as a value for a PV. Parsed strictly: nothing that is left over is ignored.

import { formatNumber } from "./format";
import type { Pv } from "./pv";
import type { WriteValue } from "./pvs";

const NUMBER = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$/;
const PREFIXED = /^[+-]?0[xXbB][0-9a-fA-F]+$/;
const SEXAGESIMAL = /^([+-]?)(\d+):(\d{1,2}):(\d{1,2}(?:\.\d*)?)$/;

/** Throws an error with the value and the reason. `format`: a word of the enum `format`. */
export function parseTyped(text: string, pv: Pv, format = "default"): WriteValue {
  if (pv.isEnum) return enumIndex(text.trim(), pv);
  if (pv.vtype.endsWith("Array") && !(pv.value instanceof Uint8Array && format === "string"))
    return parseArray(text, pv, format);
  if (typeof pv.value === "string" || pv.vtype === "VString" || format === "string") return text;
  return inLimits(parseNumber(text, pv.units, format), pv);
}

export function parseNumber(text: string, units: string, format = "default"): number {
  let body = text.trim();
  if (units && body.endsWith(units)) body = body.slice(0, -units.length).trim();
  const sexagesimal = SEXAGESIMAL.exec(body);
  if (format.startsWith("sexagesimal") && sexagesimal) return fromSexagesimal(sexagesimal, format);
  if (format === "hex" && /^[0-9a-fA-F]+$/.test(body)) body = `0x${body}`;
  if (PREFIXED.test(body)) return body.startsWith("-") ? -Number(body.slice(1)) : Number(body.replace("+", ""));
  if (!NUMBER.test(body)) throw new Error(`"${text.trim()}" is not a number`);
  return Number(body);
}

function fromSexagesimal([, sign, whole, minutes, seconds]: RegExpExecArray, format: string): number {
  const size = Number(whole) + Number(minutes) / 60 + Number(seconds) / 3600;
  const value = sign === "-" ? -size : size;
  if (format === "sexagesimal_hms") return (value * Math.PI) / 12;
  return format === "sexagesimal_rad" ? (value * Math.PI) / 180 : value;
}

function enumIndex(text: string, pv: Pv): number {
  const index = pv.labels.findIndex((label) => label.trim() === text);
  if (index >= 0) return index;
  const folded = pv.labels.findIndex((label) => label.trim().toLowerCase() === text.toLowerCase());
  if (folded >= 0) return folded;
  if (/^\d+$/.test(text) && Number(text) < pv.labels.length) return Number(text);
  throw new Error(`"${text}" is none of ${pv.labels.join(", ")}`);
}

function parseArray(text: string, pv: Pv, format: string): WriteValue {
  const parts = text
    .replace(/^\s*\[|]\s*$/g, "")
    .split(/[,;\s]+/)
    .filter((part) => part !== "");
  if (pv.vtype === "VStringArray")
    return text
      .replace(/^\s*\[|]\s*$/g, "")
      .split(",")
      .map((part) => part.trim());
  return parts.map((part) => inLimits(parseNumber(part, "", format), pv));
}

/** Throws the text of the limits when `value` is outside of them. */
export function inLimits(value: number, pv: Pv): number {
  const { driveLow, driveHigh } = pv;
  const bounded =
    driveLow !== undefined && driveHigh !== undefined
      ? driveLow < driveHigh
      : driveLow !== undefined || driveHigh !== undefined;
  if (!bounded) return value;
  const low = driveLow ?? Number.NEGATIVE_INFINITY;
  const high = driveHigh ?? Number.POSITIVE_INFINITY;
  if (value >= low && value <= high) return value;
  const text = (each: number): string => formatNumber(each, "default", undefined);
  const bound = !Number.isFinite(low)
    ? `above ${text(high)}`
    : !Number.isFinite(high)
      ? `below ${text(low)}`
      : `outside [${text(low)}, ${text(high)}]`;
  throw new Error(`${text(value)} is ${bound} ${pv.units}`.trimEnd());
}

/** A value that is about to be written, as a person reads it. */
export function textOfWrite(pv: Pv, value: WriteValue): string {
  const label = typeof value === "number" ? pv.labels[value] : undefined;
  if (label !== undefined) return label;
  return typeof value === "number" && pv.units ? `${value} ${pv.units}` : String(value);
}
