// Wheel, drag and keys on the page of trends.

export interface TimeGestures {
  /** By a part of what is shown, to later times where positive. */
  pan(part: number): void;
  /** `at`: 0 is the left edge, 1 the right one. */
  zoom(factor: number, at: number): void;
  now(): void;
}

const WHEEL = 1.0015;
const STEP = 1.5;
const KEY_PAN = 0.25;

export function takeTimeGestures(area: HTMLElement, gestures: TimeGestures): void {
  let from: number | undefined;
  // Without the axes.
  const box = (): DOMRect => (area.querySelector(".u-over") ?? area).getBoundingClientRect();
  area.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    from = event.clientX;
    area.setPointerCapture(event.pointerId);
  });
  area.addEventListener("pointermove", (event) => {
    if (from === undefined) return;
    gestures.pan((from - event.clientX) / box().width);
    from = event.clientX;
  });
  const end = (): void => {
    from = undefined;
  };
  area.addEventListener("pointerup", end);
  area.addEventListener("pointercancel", end);
  area.addEventListener("dblclick", () => gestures.now());
  area.addEventListener(
    "wheel",
    (event) => {
      event.preventDefault();
      const { left, width } = box();
      if (Math.abs(event.deltaX) > Math.abs(event.deltaY)) gestures.pan(event.deltaX / width);
      else gestures.zoom(WHEEL ** event.deltaY, Math.min(Math.max((event.clientX - left) / width, 0), 1));
    },
    { passive: false },
  );
  area.addEventListener("keydown", (event) => {
    const keys: Readonly<Record<string, () => void>> = {
      ArrowLeft: () => gestures.pan(-KEY_PAN),
      ArrowRight: () => gestures.pan(KEY_PAN),
      "+": () => gestures.zoom(1 / STEP, 0.5),
      "-": () => gestures.zoom(STEP, 0.5),
      "0": () => gestures.now(),
      End: () => gestures.now(),
    };
    const action = keys[event.key];
    if (!action) return;
    event.preventDefault();
    action();
  });
}
