// Who acknowledges: who is logged in; otherwise a name that is kept on this computer, so that it is asked for once.

import { make } from "../dom";

const KEY = "person";
const inputs = new Set<HTMLInputElement>();
let loggedIn = "";

/** The name of the login, "" for none; whatever is typed, the server takes that one. */
export function setLogin(name: string): void {
  loggedIn = name;
  for (const input of inputs) {
    if (input.isConnected) adopt(input);
    else inputs.delete(input);
  }
}

export function personName(): string {
  return loggedIn || (localStorage.getItem(KEY) ?? "").trim();
}

export function personInput(): HTMLInputElement {
  const input = make("input", "alarm-input");
  input.ariaLabel = "Your name";
  input.placeholder = "Your name";
  input.addEventListener("input", () => localStorage.setItem(KEY, input.value));
  adopt(input);
  inputs.add(input);
  return input;
}

function adopt(input: HTMLInputElement): void {
  input.maxLength = loggedIn ? 64 : 40;
  input.value = personName();
  input.readOnly = loggedIn !== "";
}
