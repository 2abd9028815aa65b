// A button that writes PVs or opens panels.

import type { Action } from "../actions";
import { formatAddress, resolveFile, webUrl } from "../address";
import type { Container } from "../container";
import { make, px, setColors, setFont, setText } from "../dom";
import { messageOf } from "../faults";
import { formatPv, PLAIN } from "../format";
import { openMenu } from "../menu";
import type { Pv } from "../pv";
import { parseTyped } from "../typed";
import { button, setUsable } from "./button";

export function drawActionButton(widget: Container): void {
  const { properties } = widget;
  const actions = properties.actions("actions");
  const text = make("span");
  const link = linkOf(widget, actions);
  const element = link ?? button(widget, "button action");
  if (link) {
    setFont(link, properties.font("font"));
    setColors(
      link,
      properties.color("foreground_color"),
      properties.flag("transparent") ? undefined : properties.color("background_color"),
    );
  }
  element.append(text);
  element.classList.toggle("flat", properties.flag("transparent"));
  turn(element, widget);
  const label = properties.text("text");
  const descriptions = actions.map((action) => action.description);
  const shown = label.replaceAll(
    "$(actions)",
    descriptions.length === 1 || actions[0]?.together ? descriptions.join(", ") : "Choose",
  );
  setText(text, shown.replaceAll("$(pv_value)", ""));
  if (!shown.replaceAll("$(pv_value)", "").trim())
    element.ariaLabel = descriptions.join(", ") || properties.text("name");
  widget.body.append(element);

  const targets = new Map<string, Pv>();
  const draw = (): void => {
    const target = [...targets.values()].find((pv) => widget.whyNot(pv));
    if (actions.some((action) => action.type === "write_pv"))
      setUsable(widget, element, target ?? [...targets.values()][0]);
    else element.ariaDisabled = properties.flag("enabled") ? null : "true";
  };
  widget.show((pv) => setText(text, shown.replaceAll("$(pv_value)", formatPv(pv, { ...PLAIN, units: true }))));
  for (const action of actions)
    if (action.type === "write_pv")
      widget.subscribe(action.pv, (pv) => {
        targets.set(action.pv, pv);
        draw();
      });
  draw();
  element.addEventListener("click", (event) => void press(widget, element, actions, targets, event));
}

/** One action that opens a panel or a web page is a real link: it can be opened in a tab, and its address copied. */
function linkOf(widget: Container, actions: readonly Action[]): HTMLAnchorElement | undefined {
  const [action] = actions;
  if (actions.length !== 1 || !action || !["open_display", "open_webpage"].includes(action.type)) return undefined;
  const link = make("a", "button action");
  link.href = addressOf(widget, action);
  if (action.type === "open_webpage" || (action.type === "open_display" && action.tab)) {
    link.target = "_blank";
    link.rel = "noopener";
  }
  return link;
}

function addressOf(widget: Container, action: Action): string {
  if (action.type === "open_display")
    return formatAddress({ file: resolveFile(action.file, widget.panel.file), macros: action.macros });
  if (action.type === "open_webpage") return webUrl(action.url);
  throw new Error(`${action.type} has no address`);
}

function turn(element: HTMLElement, { properties }: Container): void {
  const degrees = Number(properties.option("rotation_step"));
  if (!degrees) return;
  const span = element.firstElementChild as HTMLElement;
  span.style.display = "inline-block";
  span.style.transform = `rotate(${-degrees}deg)`;
  if (degrees % 180) span.style.width = px(properties.number("height"));
}

async function press(
  widget: Container,
  element: HTMLElement,
  actions: readonly Action[],
  targets: ReadonlyMap<string, Pv>,
  event: Event,
): Promise<void> {
  const isLink = element instanceof HTMLAnchorElement;
  const asks = isLink && widget.properties.flag("show_confirm_dialog");
  if (isLink && !asks && widget.properties.flag("enabled")) return;
  event.preventDefault();
  if (!widget.properties.flag("enabled")) return void widget.refuse("this button is switched off in the panel");
  if (!actions.length) return void widget.refuse("this button has no action");
  const doAll = actions.length === 1 || actions[0]?.together;
  if (doAll) return run(widget, actions, targets);
  openMenu(
    element,
    actions.map((action) => action.description),
    -1,
    (index) => void run(widget, actions.slice(index, index + 1), targets),
  );
}

async function run(widget: Container, actions: readonly Action[], targets: ReadonlyMap<string, Pv>): Promise<void> {
  const detail = actions
    .map((action) => (action.type === "write_pv" ? `${action.pv} := ${action.value}` : action.description))
    .join("; ");
  for (const action of actions)
    if (action.type === "refused") return void widget.refuse(`${action.description}: ${action.reason}`);
  for (const action of actions) {
    const reason = action.type === "write_pv" ? widget.whyNot(targets.get(action.pv)) : "";
    if (reason) return void widget.refuse(`not sent: ${reason}`);
  }
  const demanded = actions
    .map((action) => (action.type === "write_pv" ? targets.get(action.pv)?.confirm : ""))
    .find(Boolean);
  const consent = await widget.consent(detail, "both", demanded);
  if (!consent) return;
  for (const action of actions) {
    if (action.type === "write_pv") {
      const pv = targets.get(action.pv) as Pv;
      try {
        if (!(await widget.write(action.pv, parseTyped(action.value, pv), consent))) return;
      } catch (error) {
        return void widget.refuse(messageOf(error));
      }
    } else open(widget, action);
  }
}

function open(widget: Container, action: Action): void {
  const address = addressOf(widget, action);
  if (action.type === "open_display" && !action.tab) location.hash = address;
  else window.open(address, "_blank", "noopener");
}
