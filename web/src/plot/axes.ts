// The properties of axes and traces, as plots want them.

import { namedColor } from "../color";
import type { Properties } from "../properties";
import type { PlotAxis } from "./plot";
import type { Trace } from "./trace";

export function axisOf(properties: Properties, grid = false): PlotAxis {
  return {
    title: properties.text("title"),
    automatic: properties.flag("autoscale"),
    log: properties.flag("log_scale"),
    minimum: properties.number("minimum"),
    maximum: properties.number("maximum"),
    grid: grid || properties.flag("show_grid"),
    visible: properties.flag("visible"),
    right: properties.has("on_right") && properties.flag("on_right"),
    color: properties.has("color") ? properties.color("color") : namedColor("Text"),
  };
}

export function traceOf(properties: Properties, axes: number): Trace {
  return {
    name: properties.text("name").replace(/\$\(traces\[\d+]\.y_pv\)/, "") || properties.text("y_pv"),
    color: properties.color("color"),
    width: properties.number("line_width"),
    dash: properties.has("line_style") ? properties.option("line_style") : "solid",
    type: properties.option("trace_type"),
    point: properties.option("point_type"),
    pointSize: properties.number("point_size"),
    axis: Math.min(Math.max(0, properties.number("axis")), axes - 1),
    xs: [],
    ys: [],
    errors: undefined,
  };
}
