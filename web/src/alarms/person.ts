// Who acknowledges: kept on this computer, so that the name is asked for once.

import { make } from "../dom";

const KEY = "person";

export function personName(): string {
  return (localStorage.getItem(KEY) ?? "").trim();
}

export function personInput(): HTMLInputElement {
  const input = make("input", "alarm-input");
  input.ariaLabel = "Your name";
  input.placeholder = "Your name";
  input.maxLength = 40;
  input.value = personName();
  input.addEventListener("input", () => localStorage.setItem(KEY, input.value));
  return input;
}
