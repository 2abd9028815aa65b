// A level between two limits, with a scale and the bounds of warnings and alarms.

import { css } from "../color";
import type { Container } from "../container";
import { setAttribute, svg } from "../dom";
import { formatPv, PLAIN } from "../format";
import type { Pv } from "../pv";
import { type Axis, boundsOf, clipped, drawAxis, fraction, type Range, rangeOf } from "./scale";

interface Box {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

export interface Bar {
  readonly horizontal: boolean;
  readonly ground: string;
  readonly fill: string;
  readonly scaled: boolean;
}

export function drawTank(widget: Container): void {
  const { properties } = widget;
  drawBar(widget, {
    horizontal: properties.flag("horizontal"),
    ground: css(properties.color("empty_color")),
    fill: css(properties.color("fill_color")),
    scaled: properties.flag("scale_visible"),
  });
}

/** Tanks and progress bars. */
export function drawBar(widget: Container, bar: Bar): void {
  const { properties } = widget;
  const [width, height] = [properties.number("width"), properties.number("height")];
  const size = properties.font("font").size * 0.8;
  const picture = svg("svg", { class: "bar", viewBox: `0 0 ${width} ${height}`, role: "meter" });
  picture.style.color = properties.has("foreground_color") ? css(properties.color("foreground_color")) : "";
  picture.ariaLabel = properties.text("name");
  const box = boxOf(width, height, size, bar);
  const ground = svg("rect", { ...box, rx: 2, class: "ground" });
  const fill = svg("rect", { ...box, rx: 2 });
  ground.style.fill = bar.ground;
  fill.style.fill = bar.fill;
  const marks = svg("g");
  picture.append(ground, fill, marks);
  widget.body.append(picture);
  let drawn = "";

  const draw = (pv?: Pv): void => {
    const range = rangeOf(properties, pv);
    const part = pv?.value === undefined ? 0 : clipped(pv.number, range);
    if (bar.horizontal) setAttribute(fill, "width", String(part * box.width));
    else {
      setAttribute(fill, "y", String(box.y + (1 - part) * box.height));
      setAttribute(fill, "height", String(part * box.height));
    }
    picture.ariaValueMin = String(range.low);
    picture.ariaValueMax = String(range.high);
    picture.ariaValueNow = String(pv?.number ?? "");
    picture.ariaValueText = pv ? formatPv(pv, { ...PLAIN, units: true }) : "";
    const key = JSON.stringify([range, pv?.alarmLow, pv?.warnLow, pv?.warnHigh, pv?.alarmHigh]);
    if (key === drawn) return;
    drawn = key;
    marks.replaceChildren(
      ...(bar.scaled ? [drawAxis(range, axisOf(box, size, bar))] : []),
      ...bounds(widget, pv, range, box, bar),
    );
  };
  draw();
  widget.show(draw);
}

function boxOf(width: number, height: number, size: number, { horizontal, scaled }: Bar): Box {
  if (!scaled) return { x: 0.5, y: 0.5, width: width - 1, height: height - 1 };
  const margin = size * 0.7;
  if (horizontal) return { x: margin, y: 1, width: width - 2 * margin, height: Math.max(4, height - size - 9) };
  const scale = Math.min(size * 3.6, width * 0.55);
  return { x: scale, y: margin, width: Math.max(4, width - scale - 1), height: height - 2 * margin };
}

function axisOf({ x, y, width, height }: Box, size: number, { horizontal }: Bar): Axis {
  return horizontal
    ? { from: [x, y + height + 2], to: [x + width, y + height + 2], out: [0, 1], size }
    : { from: [x - 2, y + height], to: [x - 2, y], out: [-1, 0], size };
}

/** Small triangles beside the bar: hollow for warnings, full for alarms, so that they differ without colour too. */
function bounds(widget: Container, pv: Pv | undefined, range: Range, box: Box, { horizontal }: Bar): SVGElement[] {
  const { properties } = widget;
  if (!properties.flag("show_alarm_limits")) return [];
  return boundsOf(properties, pv, range).map(({ value, kind }) => {
    const part = fraction(value, range);
    const [x, y] = horizontal
      ? [box.x + part * box.width, box.y]
      : [box.x + box.width, box.y + (1 - part) * box.height];
    const line = horizontal ? `M${x} ${box.y}V${box.y + box.height}` : `M${box.x} ${y}H${box.x + box.width}`;
    const tip = horizontal ? `M${x - 4} ${y}h8l-4 7z` : `M${x} ${y - 4}v8l-7 -4z`;
    const mark = svg("path", { d: `${line}${tip}`, class: `bound ${kind}` });
    const color = css(properties.color(`${kind}_alarm_color`));
    mark.style.stroke = color;
    mark.style.fill = kind === "major" ? color : "none";
    return mark;
  });
}
