// A question that must be answered before something is sent.

import { make } from "./dom";

/** Resolves to true if the operator said yes. Escape and "Cancel", which has the focus, are no. */
export function ask(question: string, detail: string): Promise<boolean> {
  const cancel = make("button", "", "Cancel");
  const accept = make("button", "accept", "OK");
  const title = make("p", "question", question);
  title.id = "question";
  const box = make("dialog", "ask", title, make("p", "detail", detail), make("div", "answers", cancel, accept));
  box.setAttribute("aria-labelledby", title.id);
  const before = document.activeElement;
  document.body.append(box);
  return new Promise((resolve) => {
    let answer = false;
    cancel.addEventListener("click", () => box.close());
    accept.addEventListener("click", () => {
      answer = true;
      box.close();
    });
    box.addEventListener("close", () => {
      box.remove();
      if (before instanceof HTMLElement) before.focus();
      resolve(answer);
    });
    box.showModal();
    cancel.focus();
  });
}
