// The head of the page: where one is, whether the server is there, its clock, messages, room.

import { Badge } from "./alarms/badge";
import { fileUrl } from "./address";
import { make, setAttribute, setText } from "./dom";
import { formatAge } from "./format";
import { PersonForm } from "./login";
import type { Page } from "./page";

export class Head {
  private readonly title = make("h1", "panel-name");
  private readonly facility = make("a", "facility", "Panels");
  private readonly clock = make("time", "clock");
  private readonly link = make("span", "link-state");
  private readonly roomButton = make("button", "room");
  private readonly alert = make("div", "no-server");
  private readonly person = new PersonForm();
  readonly badge: Badge;
  readonly element: HTMLElement;

  constructor(private readonly page: Page) {
    this.facility.href = "#/";
    this.alert.role = "alert";
    this.alert.hidden = true;
    this.roomButton.addEventListener("click", () => page.room.next());
    this.badge = new Badge(page.alarms);
    const tools = make(
      "div",
      "tools",
      placesOf(),
      this.badge.silence,
      this.badge.element,
      page.messages.button,
      this.link,
      this.clock,
      this.roomButton,
      this.person.element,
    );
    this.element = make("header", "head", this.facility, this.title, tools);
    document.body.prepend(this.element, this.alert);
    page.pvs.watch(() => this.draw());
    page.room.watch(() => this.draw());
    page.everySecond(() => this.draw());
    this.draw();
  }

  name(text: string): void {
    setText(this.title, text);
    this.drawTitle();
  }

  private drawTitle(): void {
    document.title = [this.title.textContent, this.page.pvs.server.facility].filter(Boolean).join(" - ") || "Panels";
  }

  private draw(): void {
    const { server } = this.page.pvs;
    setText(this.facility, server.facility || "Panels");
    this.facility.title = server.version ? `Diptych ${server.version}` : "";
    this.drawTitle();
    setAttribute(this.link, "data-connected", String(server.connected));
    setText(this.link, server.connected ? (server.writable ? "connected" : "view only") : "not connected");
    setText(
      this.clock,
      server.connected ? new Date(this.page.pvs.now() * 1000).toLocaleTimeString("en-GB") : "--:--:--",
    );
    setText(this.roomButton, { auto: "Auto", light: "Light", dark: "Dark" }[this.page.room.choice]);
    this.roomButton.ariaLabel = `Room: ${this.page.room.choice}`;
    this.person.draw(server.person);
    const away = (Date.now() - server.since) / 1000;
    this.alert.hidden = server.connected || away < 1;
    setText(
      this.alert,
      `No connection to the server for ${formatAge(away)} (${server.reason}). Values are old; trying again.`,
    );
  }
}

const HEALTH = "health.bob";

/** Pages of the whole facility. */
function placesOf(): HTMLElement {
  const log = make("a", "", "Log");
  log.href = "#/log";
  const health = make("a", "", "Health");
  health.href = "#/health";
  health.hidden = true;
  // Not every facility has this panel.
  fetch(fileUrl(HEALTH), { method: "HEAD" }).then(
    (answer) => {
      health.hidden = !answer.ok;
    },
    () => undefined,
  );
  return make("nav", "places", log, health);
}
