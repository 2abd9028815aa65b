// The calibration: a form by its schema, checked by the device while one types, and the queue that is begun with it.

import { make, setText } from "../dom";
import { messageOf } from "../faults";
import { openMenu } from "../menu";
import type { Device } from "../device";
import { choose } from "./dialog";
import { Draft } from "./draft";
import { indented, pickFile, recent, remember, save } from "./files";
import { asciiJson, at, isList, isObject, type Json, parseJson, type Path, same, withValue } from "./json";
import { MaskPreview, pickFolder, pickMask } from "./mask";
import { Queue } from "./queue";
import { blank, type Schema } from "./schema";
import { Tree } from "./tree";

const SETTLED = 300; // ms without a key until the device is asked
const FILES = ".saxsconf,.json";
const OTHERS = ".saxsconf,.json,.poni,.txt,.log,.dat";

export class CalibrationTab {
  readonly element = make("div", "saxs-calibration");
  private readonly name = make("span", "saxs-file");
  private readonly remark = make("p", "saxs-problem");
  private readonly adopt = make("button", "saxs-button", "Keep the queue's masks here");
  private readonly previews = make("div", "saxs-masks");
  private readonly known = new Map<string, MaskPreview>();
  private readonly draft: Draft;
  private readonly queue: Queue;
  private readonly tree: Tree;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private checked = 0;

  constructor(
    private readonly detector: Device,
    private readonly schema: Schema,
    given: { readonly name: string; readonly document: Json } | undefined,
  ) {
    this.draft = new Draft(schema, detector.prefix);
    this.queue = new Queue(detector, this.draft, {
      changed: () => this.queue.draw(),
      take: (document) => this.open(document, ""),
      check: () => this.check(),
    });
    this.tree = new Tree(schema, {
      changed: (document) => {
        this.draft.edit(document);
        this.drawHead();
        this.checkSoon();
      },
      extra: (path) => this.extra(path),
    });
    // The picture of a mask whose name was typed.
    this.tree.element.addEventListener("focusout", () => this.drawHead());
    this.remark.role = "alert";
    this.adopt.hidden = true;
    this.adopt.title =
      "They came from another computer; the detector keeps copies, so that a queue can be begun from here";
    this.adopt.addEventListener("click", () => {
      this.keepMasks().catch((error: unknown) => this.say(messageOf(error)));
    });
    const head = make("div", "saxs-bar", this.fileMenu(), this.recentMenu(), this.name, this.adopt);
    const form = make("div", "saxs-form", this.tree.element, this.previews);
    this.element.append(this.queue.element, head, this.remark, form);
    document.addEventListener("keydown", this.key);
    detector.onClose(() => {
      document.removeEventListener("keydown", this.key);
      clearTimeout(this.timer);
      this.checked++;
    });
    void this.begin(given);
  }

  /** What was given with the address, or edited here before, or else what the queue has. */
  private async begin(given: { readonly name: string; readonly document: Json } | undefined): Promise<void> {
    const restored = !given && this.draft.restore();
    if (given) this.open(given.document, given.name);
    await this.queue.ask(true);
    if (this.detector.closed) return;
    if (restored) this.show();
    else if (!given) this.open(this.draft.queue ?? blank(this.schema), "");
  }

  private open(document: Json, name: string, isSaved = true): void {
    if (!isObject(document)) return this.say("this is no calibration: not a JSON object");
    setText(this.remark, "");
    this.draft.open(document, name, isSaved);
    if (name) remember({ name, document });
    this.show();
  }

  private show(): void {
    this.tree.show(this.draft.document);
    this.drawHead();
    void this.check();
  }

  private drawHead(): void {
    setText(this.name, `${this.draft.name || "no file"}${this.draft.isSaved ? "" : " (not saved)"}`);
    this.queue.draw();
    const masks = at(this.draft.document, ["Masks"]);
    const files = (isList(masks) ? masks : []).map((mask) => String(at(mask, ["MaskFile"]) ?? ""));
    const wanted = new Set(files.filter(Boolean));
    for (const [file, preview] of this.known)
      if (!wanted.has(file)) {
        preview.element.remove();
        this.known.delete(file);
      }
    // Not while somebody types a name.
    for (const file of wanted) if (!this.known.has(file) && !this.isTyping) this.preview(file);
  }

  private get isTyping(): boolean {
    return document.activeElement?.getAttribute("aria-label")?.endsWith(".MaskFile") === true;
  }

  private preview(file: string): void {
    const preview = new MaskPreview(this.detector);
    this.known.set(file, preview);
    this.previews.append(preview.element);
    void preview.show(file);
  }

  private checkSoon(): void {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => void this.check(), SETTLED);
  }

  /** Whether the device would take it. */
  private async check(): Promise<boolean> {
    clearTimeout(this.timer);
    const mine = ++this.checked;
    try {
      const found = await this.detector.ask<string[]>("CheckCalibration", { calibration: asciiJson(this.draft.sent) });
      if (mine !== this.checked) return false;
      const problems = [...found, ...this.draft.problems];
      this.tree.complain(problems);
      // Masks of a client of the leash are files of its own computer.
      const masks = ["Masks"];
      const areTheirs = same(at(this.draft.queue, masks), at(this.draft.document, masks));
      this.adopt.hidden = !(areTheirs && found.some((line) => /^Masks\[\d+\]\.MaskFile: /.test(line)));
      this.drawHead();
      return problems.length === 0 && this.tree.ownProblems === 0;
    } catch (error) {
      if (mine === this.checked) this.say(`the calibration could not be checked: ${messageOf(error)}`);
      return false;
    }
  }

  /** Buttons in the rows of masks and of the folder. */
  private extra(path: Path): HTMLElement | undefined {
    const last = path.at(-1);
    if (last !== "MaskFile" && (last !== "Directory" || path.length !== 1)) return undefined;
    const button = make("button", "saxs-button saxs-small", "Browse...");
    button.addEventListener("click", () => {
      this.browse(path).catch((error: unknown) => this.say(messageOf(error)));
    });
    return button;
  }

  private async browse(path: Path): Promise<void> {
    const present = at(this.draft.document, path);
    const chosen = isList(present)
      ? await pickFolder(this.detector, present.map(String))
      : await pickMask(this.detector, String(present ?? ""));
    if (chosen === undefined) return;
    this.draft.edit(withValue(this.draft.document, path, chosen));
    this.show();
  }

  private async keepMasks(): Promise<void> {
    const names = await this.detector.ask<string[]>("KeepQueueMasks");
    let { document } = this.draft;
    for (const [index, name] of names.entries())
      if (name) document = withValue(document, ["Masks", index, "MaskFile"], name);
    this.draft.edit(document);
    this.show();
  }

  // Files ------------------------------------------------------------------------------------------------------------

  private readonly key = (event: KeyboardEvent): void => {
    if (!(event.ctrlKey || event.metaKey) || event.key.toLowerCase() !== "s" || !this.element.offsetParent) return;
    event.preventDefault();
    this.save();
  };

  private fileMenu(): HTMLElement {
    const items: readonly (readonly [string, () => unknown])[] = [
      ["New", () => this.renew()],
      ["Open...", () => this.openFile()],
      ["Save (Ctrl+S)", () => this.save()],
      ["Save as...", () => this.saveAs()],
      ["Import Fit2D, Nika, PONI or older JSON...", () => this.importFile()],
      ["Export PONI", () => this.exportPoni()],
    ];
    return this.menu("File", () => items);
  }

  private recentMenu(): HTMLElement {
    return this.menu("Recent", () => {
      const files = recent().map((kept) => [kept.name, () => this.replace(kept.document, kept.name)] as const);
      return files.length ? files : [["nothing was open yet", () => undefined] as const];
    });
  }

  private menu(text: string, items: () => readonly (readonly [string, () => unknown])[]): HTMLElement {
    const button = make("button", "saxs-button", `${text} ▾`);
    button.ariaHasPopup = "listbox";
    button.addEventListener("click", () => {
      const now = items();
      const names = now.map(([name]) => name);
      openMenu(button, names, -1, (index) => {
        Promise.resolve(now[index]?.[1]()).catch((error: unknown) => this.say(messageOf(error)));
      });
    });
    return button;
  }

  private say(text: string): void {
    setText(this.remark, text);
  }

  /** Opens another one, after a question when this one would be lost. */
  private async replace(document: Json, name: string, isSaved = true): Promise<void> {
    const lost = !this.draft.isSaved && this.draft.state !== "synced";
    const sure =
      !lost ||
      (await choose(
        "Leave what was changed here?",
        [`${this.draft.name || "The calibration"} is not saved.`],
        [
          { text: "Cancel", value: false },
          { text: "Leave it", value: true },
        ],
      ));
    if (sure) this.open(document, name, isSaved);
  }

  private renew(): Promise<void> {
    return this.replace(blank(this.schema), "");
  }

  private async openFile(): Promise<void> {
    const file = await pickFile(FILES);
    if (file) await this.replace(parseJson(await file.text()), file.name);
  }

  private save(): void {
    const name = this.draft.name || "calibration.saxsconf";
    save(name, indented(this.draft.sent));
    remember({ name, document: this.draft.sent });
    this.draft.markSaved(name);
    this.drawHead();
  }

  private async saveAs(): Promise<void> {
    const input = make("input", "saxs-input");
    input.ariaLabel = "Name of the file";
    input.value = this.draft.name || "calibration.saxsconf";
    const sure = await choose(
      "Save as",
      [input],
      [
        { text: "Save", value: true },
        { text: "Cancel", value: false },
      ],
    );
    if (!sure || !input.value.trim()) return;
    this.draft.name = input.value.trim();
    this.save();
  }

  private async importFile(): Promise<void> {
    const file = await pickFile(OTHERS);
    if (!file) return;
    const found = await this.detector.ask<{ calibration: Json; notes: string[] }>("ImportCalibration", {
      name: file.name,
      content: asciiText(await file.text()),
      template: asciiJson(this.draft.sent),
    });
    await this.replace(found.calibration, `${file.name.replace(/\.\w+$/, "")}.saxsconf`, false);
    if (found.notes.length) this.say(`${file.name}: ${found.notes.join("; ")}`);
  }

  private async exportPoni(): Promise<void> {
    const text = await this.detector.call("ExportPoni", { calibration: asciiJson(this.draft.sent) });
    save(`${(this.draft.name || "calibration").replace(/\.\w+$/, "")}.poni`, String(text), "text/plain");
  }
}

/** Tango's texts have 256 characters; numbers and names of keys need no others. */
function asciiText(text: string): string {
  return text.replace(/[^\u0000-\u007f]/g, "?");
}
