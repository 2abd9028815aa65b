// What came of a write, shown at the widget that wrote: busy, done, refused. A refusal stays until it is dismissed.

import { make, setText } from "./dom";
import { placeNear, showNear } from "./popup";

type Kind = "busy" | "done" | "refused";

const MARKS: Readonly<Record<Kind, string>> = { busy: "…", done: "✓", refused: "✕" };
const DONE_FOR = 2500;
const BUSY_AFTER = 150;

export class Note {
  private readonly text = make("span", "note-text");
  private readonly mark = make("span", "note-mark");
  private readonly box = make("div", "note", this.mark, this.text);
  private timer: ReturnType<typeof setTimeout> | undefined;
  private readonly follow = (): void => placeNear(this.box, this.anchor);

  constructor(private readonly anchor: Element) {
    this.box.addEventListener("click", () => this.hide());
  }

  busy(): void {
    const since = Date.now();
    const tick = (): void => {
      const seconds = Math.floor((Date.now() - since) / 1000);
      this.show("busy", seconds < 1 ? "sending" : `busy, ${seconds} s`);
      this.timer = setTimeout(tick, 1000);
    };
    this.hide();
    // A quick answer does not flicker.
    this.timer = setTimeout(tick, BUSY_AFTER);
  }

  done(text: string): void {
    this.show("done", text || "done");
    this.timer = setTimeout(() => this.hide(), DONE_FOR);
  }

  refused(text: string): void {
    this.show("refused", text);
  }

  hide(): void {
    clearTimeout(this.timer);
    window.removeEventListener("scroll", this.follow, true);
    window.removeEventListener("resize", this.follow);
    this.box.remove();
  }

  private show(kind: Kind, text: string): void {
    clearTimeout(this.timer);
    this.box.dataset.kind = kind;
    this.box.role = kind === "refused" ? "alert" : "status";
    setText(this.mark, MARKS[kind]);
    setText(this.text, text);
    showNear(this.box, this.anchor);
    window.addEventListener("scroll", this.follow, true);
    window.addEventListener("resize", this.follow);
  }
}
