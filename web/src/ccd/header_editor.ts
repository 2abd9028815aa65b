// The header of one tool: its keywords, each to be given another value or to be taken away, and new ones.

import type { Device } from "../device";
import { make, setText } from "../dom";
import { messageOf } from "../faults";

type Value = string | number | boolean;
type Keywords = Readonly<Record<string, readonly [value: Value, comment: string]>>;

const RETRY = 2000; // ms

export class HeaderEditor {
  readonly element: HTMLElement;
  private readonly body = make("tbody");
  private readonly problem = make("p", "ccd-problem");
  private readonly keyword = field("Keyword", 10);
  private readonly value = field("Value", 30);
  private readonly comment = field("Comment", 30);
  private timer: ReturnType<typeof setTimeout> | undefined;
  private asked = 0;

  constructor(
    private readonly device: Device,
    title: string,
  ) {
    this.problem.role = "alert";
    const update = make("button", "ccd-button", "Ask the hardware");
    update.title = "What the tool itself has to say; each exposure asks it, too";
    update.addEventListener("click", () => void this.run("UpdateHeader"));
    const form = make(
      "form",
      "ccd-form",
      this.keyword,
      this.value,
      this.comment,
      make("button", "ccd-button", "Set"),
      update,
    );
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      void this.add();
    });
    const head = ["Keyword", "Value", "Comment", ""].map((text) => make("th", "", text));
    const table = make("table", "ccd-table ccd-keywords", make("thead", "", make("tr", "", ...head)), this.body);
    const count = make("span", "ccd-count");
    const box = make("details", "ccd-section", make("summary", "", title, count), this.problem, table, form);
    box.open = true;
    box.ariaLabel = `Header: ${title}`;
    this.element = box;
    // The PV says that something is different; the command says what it is, with types.
    device.watch("Keywords", (pv) => {
      setText(count, pv.connected && typeof pv.value === "object" ? ` (${pv.value.length})` : "");
      if (pv.connected) void this.read();
      else setText(this.problem, pv.reason);
    });
    device.onClose(device.page.pvs.watch(() => void this.read()));
    device.onClose(() => clearTimeout(this.timer));
  }

  private async read(): Promise<void> {
    clearTimeout(this.timer);
    const { device } = this;
    if (device.closed || !device.page.pvs.server.token) return;
    const asked = ++this.asked;
    try {
      const keywords = await device.ask<Keywords>("GetKeywords");
      if (device.closed || asked !== this.asked) return;
      this.show(keywords);
      setText(this.problem, "");
    } catch (error) {
      if (device.closed || asked !== this.asked) return;
      setText(this.problem, messageOf(error));
      this.timer = setTimeout(() => void this.read(), RETRY);
    }
  }

  /** A row that somebody is typing in stays as it is. */
  private show(keywords: Keywords): void {
    const former = new Map([...this.body.children].map((row) => [(row as HTMLElement).dataset.keyword, row]));
    const rows = Object.entries(keywords).map(([keyword, [value, comment]]) => {
      const row = former.get(keyword);
      return row?.contains(document.activeElement) ? row : this.row(keyword, value, comment);
    });
    this.body.replaceChildren(...rows);
  }

  private row(keyword: string, value: Value, comment: string): HTMLElement {
    const text = typeof value === "boolean" ? (value ? "T" : "F") : String(value);
    const input = field(`Value of ${keyword}`, 30);
    input.value = text;
    input.addEventListener("keydown", (event) => {
      if (event.key === "Escape") input.value = text;
      if (event.key === "Escape" || event.key === "Enter") input.blur();
    });
    input.addEventListener("change", () => {
      // A text of digits stays a text.
      const type = typeof value === "string" ? "str" : "";
      void this.run("SetKeyword", { keyword, value: input.value, comment, type }).then((done) => {
        if (!done) input.value = text;
      });
    });
    const remove = make("button", "ccd-button ccd-small", "Delete");
    remove.ariaLabel = `Delete ${keyword}`;
    remove.addEventListener("click", () => void this.run("DeleteKeyword", { keyword }));
    const row = make("tr", "", ...[make("th", "", keyword), input, make("span", "", comment), remove].map(cell));
    row.dataset.keyword = keyword;
    return row;
  }

  private async add(): Promise<void> {
    const [keyword, value, comment] = [this.keyword.value, this.value.value, this.comment.value];
    if (!(await this.run("SetKeyword", { keyword, value, comment, type: "" }))) return;
    for (const each of [this.keyword, this.value, this.comment]) each.value = "";
    this.keyword.focus();
  }

  /** Whether it was done; otherwise the reason is shown. */
  private async run(command: string, values: Readonly<Record<string, string>> = {}): Promise<boolean> {
    try {
      await this.device.call(command, values);
    } catch (error) {
      if (!this.device.closed) setText(this.problem, messageOf(error));
      return false;
    }
    setText(this.problem, "");
    await this.read();
    return true;
  }
}

function cell(content: HTMLElement): HTMLElement {
  return content.tagName === "TH" ? content : make("td", "", content);
}

function field(label: string, size: number): HTMLInputElement {
  const input = make("input", "ccd-input");
  input.type = "text";
  input.size = size;
  input.spellcheck = false;
  input.ariaLabel = label;
  input.placeholder = label;
  return input;
}
