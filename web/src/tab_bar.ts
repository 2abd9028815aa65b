// Tabs above the parts of an instrument's page, one of which is shown; at their right the state of its device.

import type { Device } from "./device";
import { make, setText } from "./dom";
import { formatPv, PLAIN } from "./format";

export class TabBar<Name extends string> {
  readonly element = make("div", "tab-bar");
  private readonly names: readonly Name[];
  private readonly tabs = new Map<Name, HTMLButtonElement>();
  private readonly bodies = new Map<Name, HTMLElement>();

  /** `shown` is called with the tab that was chosen. */
  constructor(
    titles: Readonly<Record<Name, string>>,
    device: Device,
    link: HTMLElement,
    private readonly shown: (name: Name) => void,
  ) {
    this.names = Object.keys(titles) as Name[];
    this.element.role = "tablist";
    for (const name of this.names) {
      const tab = make("button", "tab-bar-tab", titles[name]);
      tab.role = "tab";
      tab.id = `tab-bar-${name}`;
      tab.addEventListener("click", () => this.show(name));
      tab.addEventListener("keydown", (event) => this.step(event, name));
      this.tabs.set(name, tab);
      this.element.append(tab);
      const body = make("section", "tab-bar-body");
      body.role = "tabpanel";
      body.setAttribute("aria-labelledby", tab.id);
      this.bodies.set(name, body);
    }
    const state = make("span", "tab-bar-device");
    device.watch("State", (pv) => {
      state.dataset.sev = pv.connected ? pv.severity : "DISCONNECTED";
      setText(state, pv.connected ? formatPv(pv, PLAIN) : "not connected");
    });
    device.watch("Status", (pv) => (state.title = pv.connected ? formatPv(pv, PLAIN) : pv.reason));
    this.element.append(make("span", "tab-bar-links", state, link));
  }

  /** What stands below a tab. */
  body(name: Name): HTMLElement {
    return this.bodies.get(name) as HTMLElement;
  }

  get all(): readonly HTMLElement[] {
    return [...this.bodies.values()];
  }

  show(name: Name): void {
    for (const each of this.names) {
      const tab = this.tabs.get(each) as HTMLButtonElement;
      tab.ariaSelected = String(each === name);
      tab.tabIndex = each === name ? 0 : -1;
      this.body(each).hidden = each !== name;
    }
    this.shown(name);
  }

  private step(event: KeyboardEvent, name: Name): void {
    const by = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!by) return;
    event.preventDefault();
    const { names } = this;
    const next = names[(names.indexOf(name) + by + names.length) % names.length] ?? name;
    this.show(next);
    this.tabs.get(next)?.focus();
  }
}
