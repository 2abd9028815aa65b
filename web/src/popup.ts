// Small boxes beside a widget, in the browser's top layer: no panel clips them.

/** Puts `box` below `anchor`, or above where there is no room; within the window. */
export function placeNear(box: HTMLElement, anchor: Element): void {
  const at = anchor.getBoundingClientRect();
  const { offsetWidth: width, offsetHeight: height } = box;
  const below = at.bottom + 4;
  const top = below + height > window.innerHeight && at.top - 4 - height > 0 ? at.top - 4 - height : below;
  box.style.left = `${Math.max(4, Math.min(at.left, window.innerWidth - width - 4))}px`;
  box.style.top = `${Math.max(4, Math.min(top, window.innerHeight - height - 4))}px`;
}

export function showNear(box: HTMLElement, anchor: Element): void {
  box.popover = "manual";
  if (!box.isConnected) document.body.append(box);
  if (!box.matches(":popover-open")) box.showPopover();
  placeNear(box, anchor);
}
