// Values against time: from the history, and from the moment the panel was opened as they come.

import { namedColor } from "../color";
import type { Container } from "../container";
import type { Pv } from "../pv";
import { messageOf } from "../faults";
import { axisOf, traceOf } from "./axes";
import { Plot, type PlotAxis } from "./plot";
import { curveOf, readPast } from "./past";
import { parseSpan, Timeline } from "./timeline";

export function drawStripchart(widget: Container): void {
  const { properties } = widget;
  const { page } = widget.panel;
  const rules = properties.structures("traces").filter((trace) => trace.flag("visible") && trace.text("y_pv"));
  const axes = properties.structures("y_axes");
  if (!axes.length) throw new Error("it has no y axis");
  const span = parseSpan(properties.text("start"));
  const grid = properties.flag("show_grid");
  const traces = rules.map((trace) => traceOf(trace, axes.length));
  const timeAxis: PlotAxis = {
    title: "",
    automatic: false,
    log: false,
    minimum: 0,
    maximum: 0,
    grid,
    visible: true,
    right: false,
    color: namedColor("Text"),
  };
  const plot = new Plot(
    widget,
    {
      title: properties.text("title"),
      titleFont: properties.font("title_font"),
      scaleFont: properties.font("scale_font"),
      foreground: properties.color("foreground_color"),
      background: properties.color("background_color"),
      gridColor: namedColor("Grid"),
      legend: properties.flag("show_legend") && traces.length > 0,
      time: true,
      x: timeAxis,
      ys: axes.map((axis) => axisOf(axis)),
    },
    traces,
    () => [page.pvs.now() - span, page.pvs.now()],
  );
  widget.body.append(plot.element);
  const lines = rules.map(() => new Timeline());
  const states: (Pv | undefined)[] = rules.map(() => undefined);
  const draw = (): void => {
    const now = page.pvs.now();
    for (const [index, line] of lines.entries()) {
      const trace = traces[index];
      if (!trace) continue;
      line.cut(now - span);
      // The last value holds until now, as long as it is known to.
      const holds = states[index]?.connected === true && line.values.length > 0;
      trace.xs = holds ? [...line.times, Math.max(now, line.times.at(-1) as number)] : line.times;
      trace.ys = holds ? [...line.values, line.values.at(-1) as number] : line.values;
    }
    plot.redraw();
  };
  for (const [index, rule] of rules.entries())
    widget.subscribe(rule.text("y_pv"), (pv) => {
      states[index] = pv;
      if (!pv.connected) lines[index]?.gap(page.pvs.now());
      else if (pv.value !== undefined) lines[index]?.push(pv.time ?? page.pvs.now(), pv.number, page.pvs.now());
    });
  let closed = false;
  const load = async (pv: string, line: Timeline): Promise<void> => {
    const past = curveOf(
      await readPast(pv, { from: -span }, properties.number("width")),
      // What came meanwhile is there already.
      line.times[0],
    );
    if (closed) return;
    line.prepend(past.times, past.values);
    draw();
  };
  const reasons = new Set<string>();
  for (const [index, rule] of rules.entries())
    load(rule.text("y_pv"), lines[index] as Timeline).catch((error: unknown) => {
      reasons.add(messageOf(error));
      plot.note(`from now on: ${[...reasons].join("; ")}`);
    });
  widget.onClose(() => {
    closed = true;
  });
  // Values are kept as they come; drawn as often as the span can show it.
  const timer = setInterval(draw, Math.min(1000, Math.max(200, (span / 300) * 1000)));
  widget.onClose(() => clearInterval(timer));
  draw();
}
