// Arrays against arrays.

import { namedColor } from "../color";
import type { Container } from "../container";
import type { Pv } from "../pv";
import { axisOf, traceOf } from "./axes";
import { Plot } from "./plot";

export function drawXyplot(widget: Container): void {
  const { properties } = widget;
  const rules = properties.structures("traces").filter((trace) => trace.flag("visible") && trace.text("y_pv"));
  const axes = properties.structures("y_axes");
  if (!axes.length) throw new Error("it has no y axis");
  const traces = rules.map((trace) => traceOf(trace, axes.length));
  const plot = new Plot(
    widget,
    {
      title: properties.text("title"),
      titleFont: properties.font("title_font"),
      scaleFont: properties.structure("x_axis").font("scale_font"),
      foreground: properties.color("foreground_color"),
      background: properties.color("background_color"),
      gridColor: namedColor("Grid"),
      legend: properties.flag("show_legend") && traces.length > 0,
      time: false,
      x: axisOf(properties.structure("x_axis")),
      ys: axes.map((axis) => axisOf(axis)),
    },
    traces,
  );
  widget.body.append(plot.element);
  for (const [index, rule] of rules.entries()) {
    const trace = traces[index];
    if (!trace) continue;
    const hasX = rule.text("x_pv") !== "";
    widget.subscribe(rule.text("y_pv"), (pv) => {
      trace.ys = numbers(pv);
      if (!hasX) trace.xs = counting(trace.ys.length);
      plot.redraw();
    });
    if (hasX)
      widget.subscribe(rule.text("x_pv"), (pv) => {
        trace.xs = numbers(pv);
        plot.redraw();
      });
    if (rule.text("err_pv"))
      widget.subscribe(rule.text("err_pv"), (pv) => {
        trace.errors = numbers(pv);
        plot.redraw();
      });
  }
}

function numbers(pv: Pv): ArrayLike<number> {
  const { value } = pv;
  if (value === undefined || typeof value === "string") return [];
  if (typeof value === "number") return [value];
  return Array.isArray(value) ? value.map(Number) : (value as ArrayLike<number>);
}

let known: Float64Array = new Float64Array(0);

/** 0, 1, 2 ... */
function counting(length: number): ArrayLike<number> {
  if (known.length < length) known = Float64Array.from({ length: Math.max(length, 1024) }, (_, index) => index);
  return known.subarray(0, length);
}
