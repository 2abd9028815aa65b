// Scales: where the ticks are, where a value is.

import { svg } from "../dom";
import { formatNumber } from "../format";
import type { Properties } from "../properties";
import type { Pv } from "../pv";

export interface Range {
  readonly low: number;
  readonly high: number;
  readonly log: boolean;
}

/** The range of a widget: that of its PV, or its own. */
export function rangeOf(properties: Properties, pv: Pv | undefined): Range {
  const log = properties.has("log_scale") && properties.flag("log_scale");
  const own = { low: properties.number("minimum"), high: properties.number("maximum"), log };
  if (!properties.flag("limits_from_pv") || !pv) return valid(own);
  const { min, max, driveLow, driveHigh } = pv;
  if (min !== undefined && max !== undefined && min < max) return valid({ low: min, high: max, log });
  if (driveLow !== undefined && driveHigh !== undefined && driveLow < driveHigh)
    return valid({ low: driveLow, high: driveHigh, log });
  return valid(own);
}

function valid({ low, high, log }: Range): Range {
  if (!(low < high)) return { low: 0, high: 100, log: false };
  return { low, high, log: log && low > 0 };
}

/** 0 at the low end, 1 at the high end; not clipped. */
export function fraction(value: number, { low, high, log }: Range): number {
  return log ? Math.log(value / low) / Math.log(high / low) : (value - low) / (high - low);
}

export function clipped(value: number, range: Range): number {
  const part = fraction(value, range);
  return Number.isNaN(part) ? 0 : Math.max(0, Math.min(1, part));
}

/** Round numbers, about `count` of them; decades on a logarithmic scale. */
export function ticks({ low, high, log }: Range, count: number): number[] {
  if (log) {
    const first = Math.ceil(Math.log10(low) - 1e-9);
    const last = Math.floor(Math.log10(high) + 1e-9);
    const every = Math.max(1, Math.ceil((last - first + 1) / Math.max(2, count)));
    return Array.from({ length: Math.floor((last - first) / every) + 1 }, (_, index) => 10 ** (first + index * every));
  }
  const rough = (high - low) / Math.max(1, count);
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = ([1, 2, 5, 10].find((each) => each * power >= rough) ?? 10) * power;
  const first = Math.ceil(low / step - 1e-9);
  const last = Math.floor(high / step + 1e-9);
  return Array.from({ length: last - first + 1 }, (_, index) => Number(((first + index) * step).toPrecision(12)));
}

export function tickText(value: number): string {
  const size = Math.abs(value);
  return value !== 0 && (size < 1e-3 || size >= 1e5)
    ? value
        .toExponential()
        .replace(/\.?0*e/, "e")
        .replace("e+", "E")
        .replace("e", "E")
    : formatNumber(value, "default", undefined);
}

export interface Bound {
  readonly value: number;
  readonly kind: "minor" | "major";
}

/** Warning and alarm bounds within the range: those of the PV, or those of the widget. */
export function boundsOf(properties: Properties, pv: Pv | undefined, range: Range): readonly Bound[] {
  const own = properties.has("alarm_limits_from_pv") && !properties.flag("alarm_limits_from_pv");
  const level = (name: string): number | undefined => properties.number(name);
  const [lolo, low, high, hihi] = own
    ? [level("level_lolo"), level("level_low"), level("level_high"), level("level_hihi")]
    : [pv?.alarmLow, pv?.warnLow, pv?.warnHigh, pv?.alarmHigh];
  const all = [
    { value: lolo, kind: "major" },
    { value: low, kind: "minor" },
    { value: high, kind: "minor" },
    { value: hihi, kind: "major" },
  ] as const;
  return all.filter(
    (bound): bound is Bound => bound.value !== undefined && bound.value >= range.low && bound.value <= range.high,
  );
}

export interface Axis {
  /** Where the axis begins and ends, in units of the panel. */
  readonly from: readonly [x: number, y: number];
  readonly to: readonly [x: number, y: number];
  /** Which way ticks and labels point: (1, 0) is to the right. */
  readonly out: readonly [x: number, y: number];
  readonly size: number;
}

const TICK = 5;

/** Ticks and labels along a line. */
export function drawAxis(range: Range, { from, to, out, size }: Axis): SVGGElement {
  const length = Math.hypot(to[0] - from[0], to[1] - from[1]);
  const vertical = out[0] !== 0;
  const room = vertical ? size * 2.2 : size * 4.5;
  const group = svg("g", { class: "axis", "font-size": size });
  for (const value of ticks(range, Math.max(1, Math.floor(length / room)))) {
    const part = fraction(value, range);
    const [x, y] = [from[0] + part * (to[0] - from[0]), from[1] + part * (to[1] - from[1])];
    group.append(svg("line", { x1: x, y1: y, x2: x + out[0] * TICK, y2: y + out[1] * TICK }));
    const anchor = vertical ? (out[0] > 0 ? "start" : "end") : part < 0.05 ? "start" : part > 0.95 ? "end" : "middle";
    const label = svg("text", {
      x: x + out[0] * (TICK + 3),
      y: vertical ? y + size * 0.35 : y + (out[1] > 0 ? TICK + size : -TICK - 3),
      "text-anchor": anchor,
    });
    label.textContent = tickText(value);
    group.append(label);
  }
  return group;
}
