// What was refused or went wrong, kept so that it is not lost when its note is dismissed.

import { make, setText } from "./dom";
import { formatTime } from "./format";

const KEPT = 100;

export class Messages {
  readonly button = make("button", "messages-button", "No messages");
  private readonly list = make("ol", "messages-list");
  private readonly box = make("div", "messages", this.list);
  private unread = 0;

  constructor() {
    this.box.popover = "auto";
    this.box.ariaLabel = "Messages";
    document.body.append(this.box);
    this.button.popoverTargetElement = this.box;
    this.button.hidden = true;
    this.box.addEventListener("toggle", () => {
      this.unread = 0;
      this.label();
    });
  }

  add(text: string, kind: "refused" | "server"): void {
    const entry = make("li", kind, make("time", "", formatTime(Date.now() / 1000)), ` ${text}`);
    this.list.prepend(entry);
    if (this.list.childElementCount > KEPT) this.list.lastElementChild?.remove();
    this.unread += 1;
    this.label();
  }

  private label(): void {
    this.button.hidden = false;
    this.button.dataset.unread = String(this.unread);
    const count = this.list.childElementCount;
    setText(
      this.button,
      this.unread ? `${this.unread} new message${this.unread === 1 ? "" : "s"}` : `Messages: ${count}`,
    );
  }
}
