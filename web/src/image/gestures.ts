// What pointers, wheel and keys mean on an image.

import { make } from "../dom";

export interface Gestures {
  /** All places and ways are in pixels of the page, relative to the canvas. */
  point(x: number, y: number): void;
  leave(): void;
  pan(right: number, down: number): void;
  zoom(factor: number, x: number, y: number): void;
  /** Parts of the canvas: 1 is all its width or height. */
  contrast(right: number, down: number): void;
  /** True: the drag that begins here is for a tool, and `mark` gets it. */
  beginMark(x: number, y: number): boolean;
  mark(x: number, y: number, ended: boolean): void;
  reset(): void;
}

const WHEEL = 1.0015;
const STEP = 1.25;
const KEY_PAN = 30;

export function takeGestures(area: HTMLElement, gestures: Gestures): void {
  const pointers = new Map<number, readonly [number, number]>();
  let drag: "pan" | "contrast" | "mark" | undefined;
  const at = (event: MouseEvent): readonly [number, number] => {
    const box = area.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  };
  area.addEventListener("pointerdown", (event) => {
    const place = at(event);
    pointers.set(event.pointerId, place);
    area.setPointerCapture(event.pointerId);
    area.focus({ preventScroll: true });
    if (event.button === 2 || event.shiftKey) drag = "contrast";
    else drag = pointers.size === 1 && gestures.beginMark(...place) ? "mark" : "pan";
  });
  area.addEventListener("pointermove", (event) => {
    const before = pointers.get(event.pointerId);
    const place = at(event);
    gestures.point(...place);
    if (!before) return;
    const [right, down] = [place[0] - before[0], place[1] - before[1]];
    if (pointers.size === 2) pinch(event.pointerId, before, place);
    else if (drag === "pan") gestures.pan(right, down);
    else if (drag === "contrast") gestures.contrast(right / area.clientWidth, down / area.clientHeight);
    else if (drag === "mark") gestures.mark(...place, false);
    pointers.set(event.pointerId, place);
  });
  function pinch(id: number, before: readonly [number, number], now: readonly [number, number]): void {
    const other = [...pointers].find(([each]) => each !== id)?.[1];
    if (!other) return;
    const distance = (to: readonly [number, number]): number => Math.hypot(to[0] - other[0], to[1] - other[1]) || 1;
    gestures.zoom(distance(now) / distance(before), (now[0] + other[0]) / 2, (now[1] + other[1]) / 2);
    gestures.pan((now[0] - before[0]) / 2, (now[1] - before[1]) / 2);
  }
  const end = (event: PointerEvent): void => {
    if (pointers.delete(event.pointerId) && drag === "mark") gestures.mark(...at(event), true);
    if (!pointers.size) drag = undefined;
  };
  area.addEventListener("pointerup", end);
  area.addEventListener("pointercancel", end);
  area.addEventListener("pointerleave", () => gestures.leave());
  area.addEventListener("contextmenu", (event) => event.preventDefault());
  area.addEventListener("dblclick", () => gestures.reset());
  area.addEventListener(
    "wheel",
    (event) => {
      event.preventDefault();
      gestures.zoom(WHEEL ** -event.deltaY, ...at(event));
    },
    { passive: false },
  );
  area.addEventListener("keydown", (event) => {
    const [x, y] = [area.clientWidth / 2, area.clientHeight / 2];
    const keys: Record<string, () => void> = {
      "+": () => gestures.zoom(STEP, x, y),
      "=": () => gestures.zoom(STEP, x, y),
      "-": () => gestures.zoom(1 / STEP, x, y),
      "0": () => gestures.reset(),
      ArrowLeft: () => gestures.pan(KEY_PAN, 0),
      ArrowRight: () => gestures.pan(-KEY_PAN, 0),
      ArrowUp: () => gestures.pan(0, KEY_PAN),
      ArrowDown: () => gestures.pan(0, -KEY_PAN),
    };
    const action = keys[event.key];
    if (!action || event.target !== area) return;
    event.preventDefault();
    action();
  });
}

/** The area that gestures happen on. */
export function gestureArea(label: string): HTMLElement {
  const area = make("div", "image-area");
  area.tabIndex = 0;
  area.role = "img";
  area.ariaLabel = label;
  return area;
}
