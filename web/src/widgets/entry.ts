// A field to type into. It shows the PV until something is typed; what is typed stays, whatever the PV does meanwhile, until
// Enter sends it, or Escape or leaving the field drops it.

import type { Container } from "../container";
import { make, setColors, setFont } from "../dom";
import { messageOf } from "../faults";
import type { Pv } from "../pv";
import { setUsable } from "./button";

export class Entry {
  readonly input: HTMLInputElement | HTMLTextAreaElement;
  private pv: Pv | undefined;
  private live = "";
  private editing = false;

  /** `send` writes what was typed; it throws when it cannot be sent as it stands. `lines`: several lines. */
  constructor(
    private readonly widget: Container,
    private readonly send: (typed: string, pv: Pv) => Promise<boolean>,
    lines = false,
  ) {
    const { properties } = widget;
    this.input = make(lines ? "textarea" : "input", "entry");
    this.input.ariaLabel = properties.text("name");
    this.input.spellcheck = false;
    this.input.autocomplete = "off";
    setFont(this.input, properties.font("font"));
    setColors(this.input, properties.color("foreground_color"), properties.color("background_color"));
    this.input.addEventListener("focus", () => this.input.select());
    this.input.addEventListener("blur", () => this.revert());
    this.input.addEventListener("input", () => this.mark(!this.input.readOnly));
    this.input.addEventListener("keydown", (event) => this.key(event as KeyboardEvent, lines));
  }

  draw(pv: Pv, text: string): void {
    this.pv = pv;
    this.live = text;
    setUsable(this.widget, this.input, pv);
    this.input.readOnly = this.input.ariaDisabled === "true";
    if (!this.editing) this.set(text);
  }

  /** Puts a text in as if it was typed, for example by the arrows of a spinner. */
  type(text: string): void {
    this.set(text);
  }

  /** The field is live again; what was typed is gone. */
  private revert(): void {
    this.mark(false);
    this.set(this.live);
  }

  private set(text: string): void {
    if (this.input.value === text) return;
    const all =
      document.activeElement === this.input &&
      this.input.selectionEnd === this.input.value.length &&
      this.input.selectionStart === 0;
    this.input.value = text;
    if (all) this.input.select();
  }

  private mark(editing: boolean): void {
    this.editing = editing;
    this.input.classList.toggle("typed", editing);
  }

  private key(event: KeyboardEvent, lines: boolean): void {
    if (event.key === "Escape") {
      this.widget.forgive();
      this.revert();
      this.input.select();
    } else if (event.key === "Enter" && (!lines || event.ctrlKey)) {
      event.preventDefault();
      this.submit();
    }
  }

  private submit(): void {
    const { pv, widget } = this;
    const reason = widget.properties.flag("enabled") ? widget.whyNot(pv) : "this field is switched off in the panel";
    if (!pv || reason) return void widget.refuse(`not sent: ${reason}`);
    try {
      void this.send(this.input.value, pv);
      // From now on the field shows the PV, not the wish. If the server refuses, its note says what was asked for.
      this.revert();
      this.input.select();
    } catch (error) {
      // Refused here: what was typed stays, to be corrected.
      widget.refuse(messageOf(error));
      this.mark(true);
    }
  }
}
