// Asks how long an alarm is set aside, by whom and why.

import { make } from "../dom";
import { personInput } from "./person";

export interface Shelf {
  /** undefined: until it is put back. */
  readonly minutes: number | undefined;
  readonly who: string;
  readonly why: string;
}

const TIMES = [
  ["15 minutes", 15],
  ["1 hour", 60],
  ["8 hours", 480],
  ["24 hours", 1440],
  ["a week", 10_080],
  ["until it is put back into service", undefined],
] as const;

export function askShelf(alarm: string): Promise<Shelf | undefined> {
  const time = make("select", "alarm-input", ...TIMES.map(([text]) => make("option", "", text)));
  time.ariaLabel = "For how long";
  time.selectedIndex = 1;
  const who = personInput();
  who.required = true;
  const why = make("input", "alarm-input");
  why.ariaLabel = why.placeholder = "Why";
  why.maxLength = 200;
  const cancel = make("button", "", "Cancel");
  cancel.type = "button";
  const form = make("form", "shelf", make("p", "question", `Set ${alarm} aside`), time, who, why);
  form.append(make("div", "answers", cancel, make("button", "accept", "Set aside")));
  const box = make("dialog", "ask", form);
  box.ariaLabel = `Set ${alarm} aside`;
  time.addEventListener("change", () => {
    why.required = TIMES[time.selectedIndex]?.[1] === undefined;
  });
  document.body.append(box);
  return new Promise((resolve) => {
    let answer: Shelf | undefined;
    cancel.addEventListener("click", () => box.close());
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      answer = { minutes: TIMES[time.selectedIndex]?.[1], who: who.value.trim(), why: why.value.trim() };
      box.close();
    });
    box.addEventListener("close", () => {
      box.remove();
      resolve(answer);
    });
    box.showModal();
  });
}
