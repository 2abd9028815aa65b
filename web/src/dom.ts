// Elements, made without markup: data never becomes HTML.

import { css, readable, type Color } from "./color";
import type { FontRule } from "./subset";

export type Child = Node | string;

export function make<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  className = "",
  ...children: Child[]
): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  if (className) element.className = className;
  element.append(...children);
  return element;
}

export function svg<K extends keyof SVGElementTagNameMap>(
  tag: K,
  attributes: Readonly<Record<string, string | number>> = {},
  ...children: Child[]
): SVGElementTagNameMap[K] {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, String(value));
  element.append(...children);
  return element;
}

/** A length of the panel: it grows and shrinks with the panel. */
export function px(length: number): string {
  return `calc(${length}px * var(--s))`;
}

const SANS = ["liberation sans", "default", "arial", "helvetica", "sans", "arimo"];

export function setFont(element: HTMLElement, font: FontRule): void {
  const family = SANS.includes(font.family.toLowerCase())
    ? "var(--sans)"
    : `"${font.family.replace(/["\\]/g, "")}", var(--sans)`;
  element.style.fontFamily = family;
  element.style.fontSize = px(font.size);
  element.style.fontWeight = font.style.includes("BOLD") ? "700" : "400";
  element.style.fontStyle = font.style.includes("ITALIC") ? "italic" : "normal";
}

export function setColors(element: HTMLElement, foreground: Color | undefined, background: Color | undefined): void {
  if (foreground) element.style.color = css(background ? readable(foreground, background) : foreground);
  if (background) element.style.backgroundColor = css(background);
}

const FLEX: Readonly<Record<string, string>> = {
  left: "flex-start",
  center: "center",
  right: "flex-end",
  top: "flex-start",
  middle: "center",
  bottom: "flex-end",
};

/** Text within its box; the box is a flex container. */
export function align(element: HTMLElement, horizontal: string, vertical: string): void {
  element.style.justifyContent = FLEX[horizontal] ?? "flex-start";
  element.style.alignItems = FLEX[vertical] ?? "flex-start";
  element.style.textAlign = horizontal;
}

/** Sets text only where it changed: a layout that is not spoilt costs nothing. */
export function setText(element: Element, text: string): void {
  if (element.textContent !== text) element.textContent = text;
}

export function setAttribute(element: Element, name: string, value: string | undefined): void {
  if (value === undefined) element.removeAttribute(name);
  else if (element.getAttribute(name) !== value) element.setAttribute(name, value);
}
