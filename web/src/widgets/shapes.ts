// Rectangles, ellipses, lines.

import { css } from "../color";
import type { Container } from "../container";
import { svg } from "../dom";
import type { Properties } from "../properties";

const DASHES: Readonly<Record<string, readonly number[]>> = {
  solid: [],
  dash: [4, 2],
  dot: [1, 1.5],
  dash_dot: [4, 2, 1, 2],
  dash_dot_dot: [4, 2, 1, 2, 1, 2],
};

function canvas({ properties, body }: Container): SVGSVGElement {
  const box = svg("svg", {
    class: "shape",
    viewBox: `0 0 ${properties.number("width")} ${properties.number("height")}`,
    preserveAspectRatio: "none",
  });
  body.append(box);
  return box;
}

function setLine(shape: SVGElement, properties: Properties): void {
  const width = properties.number("line_width");
  shape.style.stroke = width > 0 ? css(properties.color("line_color")) : "none";
  shape.style.strokeWidth = String(width);
  shape.style.strokeDasharray = (DASHES[properties.option("line_style")] ?? []).map((each) => each * width).join(" ");
}

function setFill(shape: SVGElement, properties: Properties): void {
  shape.style.fill = properties.flag("transparent") ? "none" : css(properties.color("background_color"));
}

export function drawRectangle(widget: Container): void {
  const { properties } = widget;
  const line = properties.number("line_width");
  const shape = svg("rect", {
    x: line / 2,
    y: line / 2,
    width: Math.max(0, properties.number("width") - line),
    height: Math.max(0, properties.number("height") - line),
    rx: properties.number("corner_width") / 2,
    ry: properties.number("corner_height") / 2,
  });
  setLine(shape, properties);
  setFill(shape, properties);
  canvas(widget).append(shape);
}

export function drawEllipse(widget: Container): void {
  const { properties } = widget;
  const [width, height, line] = [
    properties.number("width"),
    properties.number("height"),
    properties.number("line_width"),
  ];
  const shape = svg("ellipse", {
    cx: width / 2,
    cy: height / 2,
    rx: Math.max(0, (width - line) / 2),
    ry: Math.max(0, (height - line) / 2),
  });
  setLine(shape, properties);
  setFill(shape, properties);
  canvas(widget).append(shape);
}

export function drawPolyline(widget: Container): void {
  const { properties } = widget;
  const points = properties.points("points");
  if (points.some((point) => point.some(Number.isNaN))) throw new Error("points: x and y must be numbers");
  const shape = svg("polyline", { points: points.map((point) => point.join(",")).join(" "), fill: "none" });
  setLine(shape, properties);
  const box = canvas(widget);
  box.style.overflow = "visible";
  box.append(shape, ...arrows(properties));
}

function arrows(properties: Properties): SVGElement[] {
  const points = properties.points("points");
  const which = properties.option("arrows");
  const ends = [
    ["from", points[0], points[1]],
    ["to", points.at(-1), points.at(-2)],
  ] as const;
  return ends.flatMap(([name, tip, before]) => {
    if (!tip || !before || (which !== "both" && which !== name)) return [];
    const length = properties.number("arrow_length");
    const angle = Math.atan2(tip[1] - before[1], tip[0] - before[0]);
    const corner = (turn: number): string =>
      `${tip[0] - length * Math.cos(angle + turn)},${tip[1] - length * Math.sin(angle + turn)}`;
    const head = svg("polygon", { points: `${tip.join(",")} ${corner(0.3)} ${corner(-0.3)}` });
    head.style.fill = css(properties.color("line_color"));
    return [head];
  });
}
