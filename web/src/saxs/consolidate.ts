// The merge of images with the logs of detector and beamline.

import { make, setText } from "../dom";
import { messageOf } from "../faults";
import { formatPv, PLAIN } from "../format";
import type { Trace } from "../plot/trace";
import { traceOf } from "./curve_plot";
import type { Device } from "../device";
import { lines } from "./dialog";
import { indented, pickFile, save } from "./files";
import { asciiJson, at, isList, type Json, parseJson, type Path, withValue } from "./json";
import { pickPath } from "./mask";
import { PlotFrame } from "./plot_frame";
import { axisOf } from "./scales";
import { blank, completed, type Schema } from "./schema";
import { Tree } from "./tree";

interface Points {
  readonly time?: readonly number[];
  readonly value?: readonly (number | null)[];
}

interface Result {
  readonly syncplot?: { readonly Images: Points; readonly Shutter: Points; readonly CalculatedTimeshift: number };
  readonly files?: readonly string[];
}

interface Outcome {
  readonly images: number;
  readonly files: readonly string[];
}

const KEY = "saxs merge ";
const MOST_LINES = 500;

export class ConsolidateTab {
  readonly element = make("div", "saxs-consolidate");
  private readonly start = make("button", "saxs-button", "Collect all data");
  private readonly stop = make("button", "saxs-button", "Abort");
  private readonly bar = make("progress", "saxs-progress");
  private readonly remark = make("p", "saxs-problem");
  private readonly news = make("pre", "saxs-news");
  private readonly shift = make("figcaption");
  private readonly files = make("div", "saxs-files");
  private readonly images: Trace = { ...traceOf("exposures", 0), type: "line" };
  private readonly shutter: Trace = { ...traceOf("shutter", 1), type: "step" };
  private readonly frame: PlotFrame;
  private readonly tree: Tree;
  private document: Json;
  private isKnown = false;
  private isRunning = false;

  constructor(
    private readonly detector: Device,
    private readonly schema: Schema,
  ) {
    this.document = this.kept() ?? blank(schema);
    this.frame = new PlotFrame(detector.page, [this.images, this.shutter], true);
    this.tree = new Tree(schema, {
      changed: (document) => this.edit(document),
      extra: (path) => this.extra(path),
    });
    this.start.addEventListener("click", () => void this.merge());
    this.stop.addEventListener("click", () => void this.abort());
    this.bar.max = 100;
    this.bar.hidden = this.stop.hidden = true;
    this.remark.role = "alert";
    this.news.role = "log";
    this.news.tabIndex = 0;
    this.news.ariaLabel = "What the merge says";
    const open = make("button", "saxs-button", "Open...");
    open.addEventListener("click", () => void this.open());
    const keep = make("button", "saxs-button", "Save");
    keep.addEventListener("click", () => save("consolidation.json", indented(this.document)));
    const form = make("div", "saxs-form", this.tree.element);
    const outcome = make(
      "div",
      "saxs-outcome",
      this.news,
      make("figure", "saxs-plot", this.shift, this.frame.element),
      this.files,
    );
    this.element.append(make("div", "saxs-bar", this.start, this.stop, this.bar, open, keep), this.remark);
    this.element.append(make("div", "saxs-halves", form, outcome));
    this.tree.show(this.document);
    detector.watch("Merge:Status", (pv) => {
      this.isRunning = pv.text === "RUNNING";
      this.bar.hidden = this.stop.hidden = !this.isRunning;
      this.start.disabled = this.isRunning || !detector.page.pvs.server.writable;
    });
    detector.watch("Merge:Progress", (pv) => {
      this.bar.value = Number.isFinite(pv.number) ? pv.number : 0;
    });
    detector.watch("OperationMessage", (pv) => {
      if (this.isRunning) this.tell(formatPv(pv, PLAIN));
    });
    detector.onClose(() => this.frame.close());
  }

  /** Shows the last merge that there was, once. */
  readonly look = (): void => {
    if (this.isKnown) return;
    this.isKnown = true;
    void this.showResult();
  };

  private edit(document: Json): void {
    this.document = document;
    this.tree.complain([]);
    localStorage.setItem(KEY + this.detector.prefix, JSON.stringify(document));
  }

  private kept(): Json | undefined {
    const text = localStorage.getItem(KEY + this.detector.prefix);
    return text ? completed(parseJson(text), this.schema) : undefined;
  }

  private async open(): Promise<void> {
    const file = await pickFile(".json");
    if (!file) return;
    try {
      this.edit(completed(parseJson(await file.text()), this.schema));
      this.tree.show(this.document);
      setText(this.remark, "");
    } catch (error) {
      setText(this.remark, `${file.name}: ${messageOf(error)}`);
    }
  }

  private extra(path: Path): HTMLElement | undefined {
    if (path.at(-1) !== "RemotePath") return undefined;
    const button = make("button", "saxs-button saxs-small", "Browse...");
    button.addEventListener("click", () => {
      const present = at(this.document, path);
      void pickPath(this.detector, isList(present) ? present.map(String) : []).then((chosen) => {
        if (!chosen) return;
        this.edit(withValue(this.document, path, chosen));
        this.tree.show(this.document);
      });
    });
    return button;
  }

  private async merge(): Promise<void> {
    setText(this.remark, "");
    setText(this.news, "");
    this.tree.complain([]);
    try {
      this.isRunning = true; // its first words may come before its state
      const configuration = asciiJson(this.document);
      const { images, files } = await this.detector.ask<Outcome>("Merge", { configuration });
      this.tell(`${images} images are merged in ${files.length} files`);
      await this.showResult();
    } catch (error) {
      this.complain(messageOf(error));
    } finally {
      this.isRunning = false;
    }
  }

  private async abort(): Promise<void> {
    try {
      await this.detector.call("Abort", { id: "" });
    } catch (error) {
      setText(this.remark, messageOf(error));
    }
  }

  /** `configuration: TimeOffset: why; LogDataTables[0].Name: why`: each at its key. */
  private complain(message: string): void {
    const lines = message.replace(/^(\w+Error: )*[^:]+: /, "").split("; ");
    const keys = Object.keys(this.schema.properties ?? {});
    this.tree.complain(lines.filter((line) => keys.includes(/^\w+/.exec(line)?.[0] ?? "")));
    setText(this.remark, message);
    this.tell(message);
  }

  private tell(line: string): void {
    if (!line) return;
    const known = this.news.textContent?.split("\n").filter(Boolean) ?? [];
    if (known.at(-1) === line) return;
    setText(this.news, `${[...known, line].slice(-MOST_LINES).join("\n")}\n`);
    this.news.scrollTop = this.news.scrollHeight;
  }

  private async showResult(): Promise<void> {
    try {
      const { syncplot, files = [] } = await this.detector.ask<Result>("MergeResult");
      if (this.detector.closed) return;
      this.element.dataset.merged = String(syncplot !== undefined);
      if (!syncplot) return setText(this.shift, "Nothing has been merged yet");
      setText(this.shift, `exposures and shutter; calculated shift ${syncplot.CalculatedTimeshift.toFixed(3)} s`);
      this.drawExposures(syncplot.Images);
      [this.shutter.xs, this.shutter.ys] = [syncplot.Shutter.time ?? [], numbers(syncplot.Shutter.value)];
      const up = { ...axisOf("open", "linear", 1), automatic: false, maximum: 1.4 };
      this.frame.draw(axisOf("time", "linear", 1), up);
      this.files.replaceChildren(make("h3", "", `${files.length} files`), lines(files, 200));
    } catch (error) {
      setText(this.remark, messageOf(error));
    }
  }

  /** An exposure is a box from its begin to its end, a little higher than the open shutter. */
  private drawExposures({ time = [], value = [] }: Points): void {
    this.images.xs = time.flatMap((begin, index) => {
      const end = begin + (value[index] ?? 0);
      return [begin, begin, end, end];
    });
    this.images.ys = time.flatMap(() => [0, 1.2, 1.2, 0]);
  }
}

function numbers(values: readonly (number | null)[] = []): Float64Array {
  return Float64Array.from(values, (value) => value ?? Number.NaN);
}
