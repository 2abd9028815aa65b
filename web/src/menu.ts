// A list to choose from. Nothing is chosen by moving through it: arrows move, Enter or a click chooses, Escape closes.

import { make } from "./dom";
import { showNear } from "./popup";

const TYPE_AHEAD = 800;

export function openMenu(
  anchor: HTMLElement,
  items: readonly string[],
  current: number,
  choose: (index: number) => void,
): void {
  const options = items.map((text, index) => {
    const option = make("div", "menu-item", text);
    option.role = "option";
    option.tabIndex = -1;
    option.ariaSelected = String(index === current);
    option.addEventListener("click", () => finish(index));
    option.addEventListener("pointerenter", () => option.focus());
    return option;
  });
  const box = make("div", "menu", ...options);
  box.role = "listbox";
  box.style.minWidth = `${anchor.getBoundingClientRect().width}px`;
  let typed = "";
  let typedAt = 0;

  function finish(index?: number): void {
    document.removeEventListener("pointerdown", outside, true);
    window.removeEventListener("blur", closed);
    box.remove();
    anchor.setAttribute("aria-expanded", "false");
    anchor.focus();
    if (index !== undefined) choose(index);
  }
  const closed = (): void => finish();
  function outside(event: PointerEvent): void {
    if (!box.contains(event.target as Node)) finish();
  }
  function move(to: number): void {
    options[Math.max(0, Math.min(to, options.length - 1))]?.focus();
  }

  box.addEventListener("keydown", (event) => {
    const at = options.indexOf(document.activeElement as HTMLDivElement);
    const moves: Record<string, () => void> = {
      ArrowDown: () => move(at + 1),
      ArrowUp: () => move(at - 1),
      Home: () => move(0),
      End: () => move(options.length - 1),
      Enter: () => finish(at < 0 ? undefined : at),
      " ": () => finish(at < 0 ? undefined : at),
      Escape: () => finish(),
      Tab: () => finish(),
    };
    const action = moves[event.key];
    if (!action && event.key.length === 1) {
      typed = event.timeStamp - typedAt > TYPE_AHEAD ? event.key : typed + event.key;
      typedAt = event.timeStamp;
      const found = items.findIndex((item) => item.toLowerCase().startsWith(typed.toLowerCase()));
      if (found >= 0) move(found);
      return;
    }
    if (!action) return;
    event.preventDefault();
    event.stopPropagation();
    action();
  });
  showNear(box, anchor);
  anchor.setAttribute("aria-expanded", "true");
  document.addEventListener("pointerdown", outside, true);
  window.addEventListener("blur", closed);
  move(current >= 0 ? current : 0);
}
