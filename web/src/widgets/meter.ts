// A needle over an arc.

import { css } from "../color";
import type { Container } from "../container";
import { setAttribute, setText, svg } from "../dom";
import { formatPv } from "../format";
import type { Pv } from "../pv";
import { boundsOf, clipped, fraction, type Range, rangeOf, ticks, tickText } from "./scale";
import { formatOf } from "./textupdate";

// The arc begins and ends a little above the horizontal, so that the value has room below it.
const START = Math.PI * 0.97;
const SWEEP = Math.PI * 0.94;

export function drawMeter(widget: Container): void {
  const { properties } = widget;
  const [width, height] = [properties.number("width"), properties.number("height")];
  const size = properties.font("font").size * 0.8;
  const foot = properties.flag("show_value") ? properties.font("font").size * 1.4 : 4;
  const radius = Math.max(10, Math.min(width / 2 - size * 2.2, height - foot - size * 1.6));
  const center = [width / 2, height - foot - 3] as const;
  const at = (part: number, r: number): readonly [number, number] => {
    const angle = START - part * SWEEP;
    return [center[0] + r * Math.cos(angle), center[1] - r * Math.sin(angle)];
  };
  const picture = svg("svg", { class: "meter", viewBox: `0 0 ${width} ${height}`, role: "meter" });
  picture.ariaLabel = properties.text("name");
  picture.style.color = css(properties.color("foreground_color"));
  picture.style.backgroundColor = css(properties.color("background_color"));
  const arc = svg("path", { d: arcPath(0, 1, radius, at), class: "arc" });
  const marks = svg("g");
  const needle = svg("line", { x1: center[0], y1: center[1], class: "needle" });
  needle.style.stroke = css(properties.color("needle_color"));
  const knob = svg("circle", { cx: center[0], cy: center[1], r: Math.max(3, radius * 0.07) });
  knob.style.fill = css(properties.color("knob_color"));
  const text = svg("text", {
    x: width / 2,
    y: height - 3,
    "text-anchor": "middle",
    "font-size": properties.font("font").size,
  });
  picture.append(arc, marks, needle, knob, text);
  widget.body.append(picture);
  const format = formatOf(properties);
  let drawn = "";

  const scale = (range: Range, pv: Pv | undefined): SVGElement[] => {
    const bounds = properties.flag("show_limits") ? boundsOf(properties, pv, range) : [];
    const bands = bounds.map(({ value, kind }, index) => {
      const part = fraction(value, range);
      const lower = value === (kind === "major" ? pv?.alarmLow : pv?.warnLow);
      const next = lower ? 0 : 1;
      const inner = bounds[lower ? index - 1 : index + 1];
      const end = kind === "minor" && inner?.kind === "major" ? fraction(inner.value, range) : next;
      return svg("path", {
        d: arcPath(Math.min(part, end), Math.max(part, end), radius - 4, at),
        class: `band ${kind}`,
      });
    });
    const labels = ticks(range, Math.max(2, Math.round(radius / 16))).flatMap((value) => {
      const part = fraction(value, range);
      const [from, to, place] = [at(part, radius), at(part, radius + 5), at(part, radius + 5 + size * 0.75)];
      const anchor = part < 0.4 ? "end" : part > 0.6 ? "start" : "middle";
      const label = svg("text", { x: place[0], y: place[1] + size * 0.35, "text-anchor": anchor, "font-size": size });
      label.textContent = tickText(value);
      return [svg("line", { x1: from[0], y1: from[1], x2: to[0], y2: to[1] }), label];
    });
    return [...bands, ...labels];
  };
  const draw = (pv?: Pv): void => {
    const range = rangeOf(properties, pv);
    const known = pv?.value !== undefined && !Number.isNaN(pv.number);
    const tip = at(known ? clipped(pv.number, range) : 0, radius - 8);
    setAttribute(needle, "x2", String(tip[0]));
    setAttribute(needle, "y2", String(tip[1]));
    setAttribute(needle, "visibility", known ? "visible" : "hidden");
    if (pv && properties.flag("show_value")) setText(text, formatPv(pv, format));
    picture.ariaValueMin = String(range.low);
    picture.ariaValueMax = String(range.high);
    picture.ariaValueNow = String(pv?.number ?? "");
    const key = JSON.stringify([range, pv?.alarmLow, pv?.warnLow, pv?.warnHigh, pv?.alarmHigh]);
    if (key === drawn) return;
    drawn = key;
    marks.replaceChildren(...scale(range, pv));
  };
  draw();
  widget.show(draw);
}

function arcPath(
  from: number,
  to: number,
  radius: number,
  at: (part: number, r: number) => readonly [number, number],
): string {
  const [start, end] = [at(from, radius), at(to, radius)];
  return `M${start.join(" ")}A${radius} ${radius} 0 0 1 ${end.join(" ")}`;
}
