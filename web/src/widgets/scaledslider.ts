// A slider. It shows the PV; while it is dragged it shows what would be sent, and sends it once, at the end.

import { css } from "../color";
import type { Container } from "../container";
import { setAttribute, svg } from "../dom";
import { messageOf } from "../faults";
import { formatPv, PLAIN } from "../format";
import type { Pv } from "../pv";
import { inLimits } from "../typed";
import { mayUse, setUsable } from "./button";
import { clipped, drawAxis, type Range, rangeOf } from "./scale";

const THUMB = 9;
const ASKED_FOR = 1500;

export function drawScaledSlider(widget: Container): void {
  const { properties } = widget;
  const horizontal = properties.flag("horizontal");
  const [width, height] = [properties.number("width"), properties.number("height")];
  const size = properties.font("font").size * 0.8;
  const length = horizontal ? width : height;
  const [from, to] = horizontal ? [THUMB + 8, length - THUMB - 8] : [length - THUMB - 8, THUMB + 8];
  const across = properties.flag("show_scale") ? THUMB + 4 : (horizontal ? height : width) / 2;
  const point = (along: number): readonly [number, number] => (horizontal ? [along, across] : [across, along]);
  const picture = svg("svg", { class: "slider", viewBox: `0 0 ${width} ${height}`, role: "slider", tabindex: 0 });
  picture.ariaLabel = properties.text("name");
  picture.style.color = css(properties.color("foreground_color"));
  if (!properties.flag("transparent")) picture.style.backgroundColor = css(properties.color("background_color"));
  const line = (className: string): SVGLineElement => {
    const [start, end] = [point(from), point(to)];
    return svg("line", { x1: start[0], y1: start[1], x2: end[0], y2: end[1], class: className });
  };
  const track = line("track");
  const covered = line("covered");
  const thumb = svg("circle", { r: THUMB, class: "thumb" });
  const marks = svg("g");
  const wish = svg("text", { class: "wish", "font-size": size, "text-anchor": "middle" });
  picture.append(marks, track, covered, thumb, wish);
  widget.body.append(picture);
  let current: Pv | undefined;
  let range: Range = rangeOf(properties, undefined);
  let dragged: number | undefined;
  let asked = { value: 0, until: 0 };
  let drawn = "";

  const stepped = (value: number): number => {
    const step = properties.number("increment");
    const round = step > 0 ? Math.round(value / step) * step : value;
    return Number(Math.max(range.low, Math.min(range.high, round)).toPrecision(12));
  };
  const draw = (pv?: Pv): void => {
    current = pv;
    range = rangeOf(properties, pv);
    const value = dragged ?? pv?.number ?? Number.NaN;
    const [x, y] = point(from + clipped(value, range) * (to - from));
    setAttribute(thumb, "cx", String(x));
    setAttribute(thumb, "cy", String(y));
    setAttribute(covered, "x2", String(x));
    setAttribute(covered, "y2", String(y));
    setAttribute(thumb, "visibility", Number.isNaN(value) ? "hidden" : "visible");
    wish.textContent = dragged === undefined ? "" : String(dragged);
    setAttribute(
      wish,
      "x",
      String(horizontal ? Math.min(Math.max(x, size * 2), width - size * 2) : x + THUMB + size * 2),
    );
    setAttribute(wish, "y", String(horizontal ? y + THUMB + size + 2 : y + size * 0.35));
    picture.classList.toggle("dragged", dragged !== undefined);
    picture.ariaValueMin = String(range.low);
    picture.ariaValueMax = String(range.high);
    picture.ariaValueNow = String(value);
    picture.ariaValueText = pv ? formatPv(pv, { ...PLAIN, units: true }) : "";
    setUsable(widget, picture as unknown as HTMLElement, pv);
    const key = JSON.stringify(range);
    if (key === drawn || !properties.flag("show_scale")) return;
    drawn = key;
    const beside = across + THUMB + 1;
    marks.replaceChildren(
      drawAxis(range, {
        from: horizontal ? [from, beside] : [beside, from],
        to: horizontal ? [to, beside] : [beside, to],
        out: horizontal ? [0, 1] : [1, 0],
        size,
      }),
    );
  };
  const send = (value: number): void => {
    if (!current) return;
    try {
      inLimits(value, current);
      asked = { value, until: performance.now() + ASKED_FOR };
      void widget.write(current.name, value);
    } catch (error) {
      widget.refuse(messageOf(error));
    }
  };
  const valueAt = (event: PointerEvent): number => {
    const box = picture.getBoundingClientRect();
    const along = horizontal
      ? ((event.clientX - box.left) / box.width) * width
      : ((event.clientY - box.top) / box.height) * height;
    const part = Math.max(0, Math.min(1, (along - from) / (to - from)));
    return stepped(
      range.log ? range.low * (range.high / range.low) ** part : range.low + part * (range.high - range.low),
    );
  };
  picture.addEventListener("pointerdown", (event) => {
    if (event.button !== 0 || !mayUse(widget, current)) return;
    picture.setPointerCapture(event.pointerId);
    dragged = valueAt(event);
    draw(current);
  });
  picture.addEventListener("pointermove", (event) => {
    if (dragged === undefined) return;
    dragged = valueAt(event);
    draw(current);
  });
  const end = (value: number | undefined): void => {
    if (dragged === undefined) return;
    dragged = undefined;
    draw(current);
    if (value !== undefined) send(value);
  };
  picture.addEventListener("pointerup", () => end(dragged));
  picture.addEventListener("pointercancel", () => end(undefined));
  picture.addEventListener("keydown", (event) => {
    if (event.key === "Escape") return end(undefined);
    const count = { ArrowUp: 1, ArrowRight: 1, ArrowDown: -1, ArrowLeft: -1, PageUp: 10, PageDown: -10 }[event.key];
    if (count === undefined) return;
    event.preventDefault();
    if (!mayUse(widget, current) || !current) return;
    const start = performance.now() < asked.until ? asked.value : current.number;
    send(
      Number(Math.max(range.low, Math.min(range.high, start + count * properties.number("increment"))).toPrecision(12)),
    );
  });
  draw();
  widget.show(draw);
}
