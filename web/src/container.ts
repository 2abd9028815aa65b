// What every widget lives in: its place, its PVs, severity, the disconnected and the stale look, tooltip, writes. A widget
// draws into `body` and says what it wants to know; it cannot forget an alarm.

import type { WidgetModel } from "./bob";
import { css } from "./color";
import { offerTrends } from "./context";
import { make, px, setAttribute, setText } from "./dom";
import { messageOf, report } from "./faults";
import { formatAge } from "./format";
import { described } from "./login";
import type { Macros } from "./macros";
import { Note } from "./note";
import type { Panel } from "./panel";
import type { Properties } from "./properties";
import type { Pv, Severity } from "./pv";
import type { WriteValue } from "./pvs";
import { ask } from "./question";
import { describe } from "./describe";
import { textOfWrite } from "./typed";

/** When the panel may want a question asked; "both" where it does not matter. */
export type Occasion = "push" | "release" | "both";
/** A write may be sent: because the operator said yes, or because nothing had to be asked. */
export type Consent = "given" | "unneeded";

const RANK: readonly Severity[] = ["NONE", "MINOR", "MAJOR", "INVALID", "UNDEFINED"];
const STALE_PERIODS = 3;
const DEFAULT_QUESTION = "Are you sure you want to do this?";

export class Container {
  readonly element = make("div", "widget");
  readonly body = make("div", "body");
  readonly properties: Properties;
  readonly macros: Macros;
  private readonly closers: (() => void)[] = [];
  private readonly pvs = new Map<string, Pv>();
  private readonly note = new Note(this.element);
  private lost: HTMLElement | undefined;
  private failed = false;

  constructor(
    readonly model: WidgetModel,
    readonly panel: Panel,
  ) {
    this.properties = model.properties;
    this.macros = model.macros;
    this.element.append(this.body);
    this.element.dataset.type = model.type;
    this.place();
    if (model.properties.has("border_width")) this.drawBorder();
    if (model.limits.length) this.element.dataset.limits = model.limits.join("; ");
    panel.page.tooltip.offer(this.element, () => describe(this));
    offerTrends(this);
    this.closers.push(() => this.note.hide());
  }

  /** Builds the widget; whatever goes wrong costs only this box. */
  build(make: (widget: Container) => void): void {
    try {
      make(this);
    } catch (error) {
      this.fail(error);
    }
  }

  close(): void {
    for (const closer of this.closers.splice(0)) {
      try {
        closer();
      } catch (error) {
        report(`closing ${this.title}`, error);
      }
    }
  }

  onClose(closer: () => void): void {
    this.closers.push(closer);
  }

  get title(): string {
    return `${this.model.type} "${this.properties.text("name")}"`;
  }

  get allPvs(): readonly Pv[] {
    return [...this.pvs.values()];
  }

  // PVs ---------------------------------------------------------------------------------------------------------------

  /** The PV of the property pv_name: `draw` is called with its state now, and once per frame when it changed. */
  show(draw: (pv: Pv) => void): void {
    const name = this.properties.text("pv_name");
    if (name) this.subscribe(name, draw);
  }

  subscribe(name: string, draw: (pv: Pv) => void = () => undefined): void {
    this.element.dataset.pv ??= name;
    const drawn = (pv: Pv): void => this.update(name, pv, draw);
    this.closers.push(this.panel.page.pvs.subscribe(name, drawn));
    if (this.pvs.size === 0) this.closers.push(this.panel.page.everySecond(() => this.drawState()));
  }

  /** For widgets that hear of their PV by another way than the PV socket. */
  adopt(pv: Pv): void {
    this.element.dataset.pv ??= pv.name;
    if (this.pvs.size === 0) this.closers.push(this.panel.page.everySecond(() => this.drawState()));
    this.pvs.set(pv.name, pv);
    this.drawState();
  }

  private update(name: string, pv: Pv, draw: (pv: Pv) => void): void {
    if (this.failed) return;
    this.pvs.set(name, pv);
    try {
      this.drawState();
      draw(pv);
    } catch (error) {
      this.fail(error);
    }
  }

  // Looks -------------------------------------------------------------------------------------------------------------

  private place(): void {
    const { style } = this.element;
    style.left = px(this.properties.number("x"));
    style.top = px(this.properties.number("y"));
    style.width = px(this.properties.number("width"));
    style.height = px(this.properties.number("height"));
  }

  private drawBorder(): void {
    const width = this.properties.number("border_width");
    if (width > 0) this.body.style.outline = `${px(width)} solid ${css(this.properties.color("border_color"))}`;
  }

  private drawState(): void {
    const pvs = this.allPvs;
    const away = pvs.find((pv) => !pv.connected);
    const sensitive = !this.properties.has("border_alarm_sensitive") || this.properties.flag("border_alarm_sensitive");
    const worst = RANK[Math.max(0, ...pvs.map((pv) => RANK.indexOf(pv.severity)))] as Severity;
    setAttribute(this.element, "data-sev", away ? "DISCONNECTED" : worst);
    setAttribute(this.element, "data-quiet", sensitive ? undefined : "");
    if (away) return this.drawLost("lost", `${formatAge((Date.now() - away.since) / 1000)} ${away.reason}`);
    const age = Math.max(0, ...pvs.map((pv) => this.staleAge(pv)));
    setAttribute(this.element, "data-stale", age ? "" : undefined);
    if (age) return this.drawLost("stale", formatAge(age));
    this.lost?.remove();
    this.lost = undefined;
  }

  /** Seconds since the last value if that is too long ago, otherwise 0. */
  staleAge(pv: Pv): number {
    if (pv.period === undefined || pv.time === undefined) return 0;
    const age = this.panel.page.pvs.now() - pv.time;
    return age > STALE_PERIODS * pv.period + 1 ? age : 0;
  }

  private drawLost(kind: "lost" | "stale", text: string): void {
    this.lost ??= this.element.appendChild(make("div", "", make("span")));
    this.lost.className = kind;
    setText(this.lost.firstElementChild as Element, text);
  }

  /** Shows why this widget cannot be shown. The others go on. */
  fail(error: unknown): void {
    this.failed = true;
    report(this.title, error);
    this.close();
    this.lost?.remove();
    this.element.dataset.fault = messageOf(error);
    this.body.removeAttribute("style");
    this.body.replaceChildren(make("div", "fault", `${this.title}: ${messageOf(error)}`));
  }

  // Writes ------------------------------------------------------------------------------------------------------------

  /** Whether PV may be written now; otherwise why not. */
  whyNot(pv: Pv | undefined): string {
    const { writable, person } = this.panel.page.pvs.server;
    if (!writable) return person ? `${described(person)}, and may only look` : "this server takes no writes from here";
    if (!pv || !pv.connected) return `${pv?.name ?? "the PV"} is not connected${pv?.reason ? `: ${pv.reason}` : ""}`;
    return pv.readonly ? `${pv.name} cannot be written${person ? ` with the role ${person.role}` : ""}` : "";
  }

  private asks(what: Occasion): boolean {
    if (!this.properties.has("show_confirm_dialog")) return false;
    const asked = this.properties.option("show_confirm_dialog") as string | boolean;
    if (typeof asked === "boolean") return asked;
    return asked === "both" || (asked !== "none" && (what === "both" || asked === what));
  }

  /** Asks what the panel or the server wants asked; undefined: the operator said no. */
  async consent(detail: string, what: Occasion = "both", demanded = ""): Promise<Consent | undefined> {
    if (!this.asks(what) && !demanded) return "unneeded";
    const own = this.asks(what) ? this.properties.text("confirm_message") : "";
    return (await ask(own || demanded || DEFAULT_QUESTION, detail)) ? "given" : undefined;
  }

  /** Sends, once what has to be asked is answered; shows busy and the result. True: it was taken. */
  async write(name: string, value: WriteValue, what: Occasion | Consent = "both"): Promise<boolean> {
    const pv = this.pvs.get(name);
    const reason = this.whyNot(pv);
    if (!pv || reason) return this.refuse(`not sent: ${reason}`);
    const detail = `${name} := ${textOfWrite(pv, value)}`;
    const consent = what === "given" || what === "unneeded" ? what : await this.consent(detail, what, pv.confirm);
    if (!consent) return false;
    this.note.busy();
    this.element.ariaBusy = "true";
    const ack = await this.panel.page.pvs.write(pv, value, consent === "given");
    this.element.ariaBusy = null;
    if (!ack.ok) return this.refuse(ack.message || "refused", detail);
    this.note.done(ack.message);
    return true;
  }

  refuse(message: string, detail = ""): false {
    this.note.refused(message);
    this.panel.page.messages.add(detail ? `${detail}: ${message}` : message, "refused");
    return false;
  }

  /** Takes back what `refuse` showed. */
  forgive(): void {
    this.note.hide();
  }
}
