// A live image of a detector: crop and reduction come from the server, colours, contrast and zoom are done here.

import { css } from "../color";
import type { Container } from "../container";
import { make, setAttribute } from "../dom";
import type { Message } from "../link";
import { Pv } from "../pv";
import { ColorBar } from "./colorbar";
import { colorMap } from "./colormaps";
import { type Contrast, dragged } from "./contrast";
import type { Frame } from "./frame";
import { gestureArea, takeGestures } from "./gestures";
import { Measure } from "./measure";
import { type Painter, painterFor } from "./painter";
import { PlainPainter } from "./painter_plain";
import { Readout } from "./readout";
import type { View } from "./streams";
import { Tools, type ToolState } from "./tools";
import { Viewport } from "./viewport";

// While one zooms, the server is asked again at most this often, ms.
const ASK_EVERY = 100;

export function drawImage(widget: Container): void {
  const name = widget.properties.text("pv_name");
  if (!name) throw new Error("pv_name is empty");
  const image = new ImageView(widget, name);
  widget.body.append(image.element);
  widget.onClose(() => image.close());
}

class ImageView {
  readonly element = make("div", "image");
  private readonly area: HTMLElement;
  private canvas = make("canvas");
  private painter: Painter;
  private readonly viewport = new Viewport();
  private readonly state: ToolState;
  private readonly tools: Tools;
  private readonly bar: ColorBar | undefined;
  private readonly readout = new Readout(() => this.view);
  private readonly measure = new Measure(() => this.view);
  private readonly crosshair = make("div", "crosshair");
  private readonly pv: Pv;
  private readonly view: View;
  private readonly sizes = new ResizeObserver(() => this.resized());
  private frame: Frame | undefined;
  private unpainted = 0; // frames that came since the last paint
  private manual: Contrast;
  private map = "";
  private timer: ReturnType<typeof setTimeout> | undefined;
  private readonly paint = (): void => this.paintNow();

  constructor(
    private readonly widget: Container,
    name: string,
  ) {
    const { properties, panel } = widget;
    this.state = {
      map: properties.text("color_map"),
      stretch: properties.flag("log_scale") ? "log" : "linear",
      automatic: properties.flag("autoscale"),
      tool: "pan",
      reduce: "max",
    };
    this.manual = {
      low: properties.number("minimum"),
      high: properties.number("maximum"),
      stretch: this.state.stretch,
    };
    this.area = gestureArea(properties.text("name"));
    this.area.append(this.canvas, this.measure.overlay, this.crosshair);
    this.element.style.backgroundColor = css(properties.color("background_color"));
    this.tools = new Tools(
      this.state,
      () => this.changed(),
      () => this.reset(),
    );
    if (properties.flag("show_toolbar")) this.element.classList.add("with-tools");
    const row = make("div", "image-row", this.area);
    const bar = properties.structure("color_bar");
    if (bar.flag("visible")) {
      this.bar = new ColorBar(bar.number("bar_size"));
      row.append(this.bar.element);
    }
    this.element.append(row, this.readout.element, this.tools.element, this.measure.box);
    this.painter = painterFor(this.canvas);
    this.canvas.addEventListener("webglcontextlost", this.fallBack);
    setAttribute(this.element, "data-painter", this.painter.kind);
    this.pv = new Pv(name, Date.now());
    widget.adopt(this.pv);
    this.view = panel.page.images.view(name, {
      frame: (frame) => this.take(frame),
      state: (message) => this.takeState(message),
      lost: (reason) => {
        this.pv.disconnect(reason, Date.now());
        widget.adopt(this.pv);
      },
    });
    this.sizes.observe(this.area);
    takeGestures(this.area, this.gestures());
  }

  close(): void {
    clearTimeout(this.timer);
    this.sizes.disconnect();
    this.widget.panel.page.frames.cancel(this.paint);
    this.view.close();
    this.canvas.removeEventListener("webglcontextlost", this.fallBack);
    this.painter.close();
  }

  private take(frame: Frame): void {
    this.frame = frame;
    this.unpainted++;
    this.pv.time = frame.time;
    if (this.pv.vtype === "" && !this.pv.connected)
      this.pv.merge({ vtype: "Image", value: null, connected: true, severity: "NONE" }, Date.now());
    this.widget.adopt(this.pv);
    this.request();
  }

  private takeState(message: Message): void {
    this.pv.merge(message, Date.now());
    this.readout.units = this.pv.units;
    this.widget.adopt(this.pv);
  }

  private request(): void {
    this.widget.panel.page.frames.request(this.paint);
  }

  private get ratio(): number {
    return this.canvas.width / Math.max(1, this.area.clientWidth);
  }

  private get contrast(): Contrast {
    const { frame, state } = this;
    if (state.automatic && frame) return { low: frame.low, high: frame.high, stretch: state.stretch };
    return { ...this.manual, stretch: state.stretch };
  }

  private paintNow(): void {
    const { frame, painter, viewport } = this;
    if (this.map !== this.state.map) {
      this.map = this.state.map;
      const colors = colorMap(this.map);
      painter.setColors(colors);
      this.bar?.setColors(colors);
    }
    if (!frame) return;
    viewport.resize(frame.imageWidth, frame.imageHeight, this.canvas.width, this.canvas.height);
    if (this.unpainted) painter.load(frame);
    painter.paint(viewport, this.contrast);
    this.bar?.draw(this.contrast);
    this.measure.draw(viewport, this.ratio);
    this.element.dataset.seq = String(frame.seq);
    if (!this.unpainted) return;
    this.readout.show(frame);
    this.measure.refresh();
    this.ask();
    for (; this.unpainted; this.unpainted--) this.view.credit();
  }

  /** Tells the server what is seen now. */
  private ask(): void {
    this.timer ??= setTimeout(() => {
      this.timer = undefined;
      this.view.want({
        ...(this.viewport.fitted ? {} : this.viewport.visible),
        canvas_width: this.canvas.width,
        canvas_height: this.canvas.height,
        reduce: this.state.reduce,
      });
    }, ASK_EVERY);
  }

  private changed(): void {
    if (this.state.tool === "pan") this.measure.clear();
    this.area.dataset.tool = this.state.tool;
    this.ask();
    this.request();
  }

  private reset(): void {
    this.viewport.fit();
    this.changed();
  }

  private resized(): void {
    const { area, canvas } = this;
    const ratio = window.devicePixelRatio || 1;
    canvas.width = Math.max(1, Math.round(area.clientWidth * ratio));
    canvas.height = Math.max(1, Math.round(area.clientHeight * ratio));
    this.ask();
    this.request();
  }

  /** The graphics card took its memory back, as with more images than it holds: go on without it. */
  private readonly fallBack = (): void => {
    const plain = make("canvas");
    const context = plain.getContext("2d");
    if (!context) return;
    plain.width = this.canvas.width;
    plain.height = this.canvas.height;
    this.canvas.replaceWith(plain);
    this.canvas = plain;
    this.painter = new PlainPainter(context);
    this.map = "";
    if (this.frame) this.painter.load(this.frame);
    setAttribute(this.element, "data-painter", this.painter.kind);
    this.request();
  };

  private gestures(): Parameters<typeof takeGestures>[1] {
    const pixel = (x: number, y: number): readonly [number, number] =>
      this.viewport.toImage(x * this.ratio, y * this.ratio).map(Math.floor) as [number, number];
    return {
      point: (x, y) => {
        this.readout.point(this.frame ? this.viewport.pixelAt(x * this.ratio, y * this.ratio) : undefined);
        if (!this.widget.properties.flag("cursor_crosshair")) return;
        this.crosshair.hidden = false;
        this.crosshair.style.setProperty("--x", `${x}px`);
        this.crosshair.style.setProperty("--y", `${y}px`);
      },
      leave: () => {
        this.readout.point(undefined);
        this.crosshair.hidden = true;
      },
      pan: (right, down) => {
        this.viewport.pan(right * this.ratio, down * this.ratio);
        this.changed();
      },
      zoom: (factor, x, y) => {
        this.viewport.zoom(factor, x * this.ratio, y * this.ratio);
        this.changed();
      },
      contrast: (right, down) => {
        this.manual = dragged(this.contrast, right, down);
        this.state.automatic = false;
        this.tools.draw();
        this.request();
      },
      beginMark: (x, y) => {
        if (this.state.tool === "pan" || !this.frame) return false;
        this.measure.begin(this.state.tool, pixel(x, y));
        return true;
      },
      mark: (x, y, ended) => {
        this.measure.drag(pixel(x, y));
        this.measure.draw(this.viewport, this.ratio);
        if (ended) this.measure.refresh(true);
      },
      reset: () => {
        this.state.automatic = true;
        this.tools.draw();
        this.reset();
      },
    };
  }
}
