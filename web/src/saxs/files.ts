// Files of this computer: opened, saved as a download; the last ones that were open are kept in this browser.

import { make } from "../dom";
import { type Json, parseJson } from "./json";

const RECENT = "saxs recent";
const MOST = 5;

export interface Kept {
  readonly name: string;
  readonly document: Json;
}

/** undefined: none was chosen. */
export function pickFile(accept: string): Promise<File | undefined> {
  const input = make("input");
  input.type = "file";
  input.accept = accept;
  return new Promise((resolve) => {
    input.addEventListener("change", () => resolve(input.files?.[0]));
    input.addEventListener("cancel", () => resolve(undefined));
    input.click();
  });
}

export function save(name: string, text: string, type = "application/json"): void {
  const link = make("a");
  link.href = URL.createObjectURL(new Blob([text], { type }));
  link.download = name;
  link.click();
  // The browser reads it after the click.
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

export function toBase64(bytes: Uint8Array): string {
  let text = "";
  for (let start = 0; start < bytes.length; start += 0x8000)
    text += String.fromCharCode(...bytes.subarray(start, start + 0x8000));
  return btoa(text);
}

/** The newest first. */
export function recent(): readonly Kept[] {
  try {
    const kept = parseJson(localStorage.getItem(RECENT) ?? "[]");
    return Array.isArray(kept) ? (kept as unknown as Kept[]).filter((each) => each?.name && each.document) : [];
  } catch {
    return []; // what somebody else wrote there is none of ours
  }
}

export function remember(kept: Kept): void {
  const others = recent().filter(({ name }) => name !== kept.name);
  localStorage.setItem(RECENT, JSON.stringify([kept, ...others].slice(0, MOST)));
}

export function indented(document: Json): string {
  return `${JSON.stringify(document, undefined, 4)}\n`;
}
