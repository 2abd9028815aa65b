// A box with a question that has more than one answer, or with something to look at.

import { make } from "../dom";

export interface Answer<T> {
  readonly text: string;
  readonly value: T;
}

/** The value of the button that was pressed; undefined for Escape. The first button has the focus. */
export function choose<T>(
  question: string,
  detail: readonly (Node | string)[],
  answers: readonly Answer<T>[],
): Promise<T | undefined> {
  const buttons = answers.map(({ text }) => make("button", "saxs-button", text));
  const title = make("h2", "question", question);
  title.id = "saxs-question";
  const box = make(
    "dialog",
    "ask saxs-dialog",
    title,
    make("div", "detail", ...detail),
    make("div", "answers", ...buttons),
  );
  box.setAttribute("aria-labelledby", title.id);
  const before = document.activeElement;
  document.body.append(box);
  return new Promise((resolve) => {
    let answer: T | undefined;
    for (const [index, button] of buttons.entries())
      button.addEventListener("click", () => {
        answer = answers[index]?.value;
        box.close();
      });
    box.addEventListener("close", () => {
      box.remove();
      if (before instanceof HTMLElement) before.focus();
      resolve(answer);
    });
    box.showModal();
    buttons[0]?.focus();
  });
}

/** A list of lines, cut where nobody reads on. */
export function lines(texts: readonly string[], most = 12): HTMLElement {
  const shown = texts.slice(0, most).map((text) => make("li", "", text));
  if (texts.length > most) shown.push(make("li", "", `and ${texts.length - most} more`));
  return make("ul", "saxs-lines", ...shown);
}
