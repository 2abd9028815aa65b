// A .bob file: XML to widgets with typed properties. What is wrong in a file is kept beside the widget it is in, and never
// costs more than that widget.

import { type Action, isActionType } from "./actions";
import { color, type Color, namedColor } from "./color";
import { messageOf } from "./faults";
import { expand, type Fallback, type Macros, nested, unresolved } from "./macros";
import { type Point, Properties, type Value } from "./properties";
import { type FontRule, type PropertyRule, SUBSET } from "./subset";

export interface WidgetModel {
  readonly type: string;
  readonly properties: Properties;
  readonly macros: Macros;
  /** Why it cannot be shown; empty if it can. */
  readonly faults: readonly string[];
  /** What of it is not done here, such as rules. */
  readonly limits: readonly string[];
}

export interface DisplayModel {
  readonly properties: Properties;
  readonly macros: Macros;
  readonly widgets: readonly WidgetModel[];
}

const PLACE: readonly PropertyRule[] = [
  ["name", "string", ""],
  ["x", "integer", 0],
  ["y", "integer", 0],
  ["width", "integer", 100],
  ["height", "integer", 20],
];

export function parseBob(xml: string, outer: Macros): DisplayModel {
  const root = new DOMParser().parseFromString(xml, "text/xml").documentElement;
  const broken = root.tagName === "parsererror" ? root : root.querySelector("parsererror");
  if (broken)
    throw new Error(`this is not XML: ${(broken.textContent ?? "").trim().split("\n").slice(0, 2).join(" ")}`);
  if (root.tagName !== "display") throw new Error(`this is no panel: it begins with <${root.tagName}>`);
  const macros = nested(outer, readMacros(child(root, "macros")));
  const faults: string[] = [];
  const properties = new Reader(macros, faults).properties(root, SUBSET.display.properties);
  if (faults.length) throw new Error(faults.join("; "));
  return { properties, macros, widgets: properties.widgets("widgets") };
}

function child(parent: Element, name: string): Element | undefined {
  return [...parent.children].find((each) => each.tagName === name);
}

function textOf(element: Element | undefined): string | undefined {
  return element?.textContent ?? undefined;
}

function readMacros(element: Element | undefined): Macros {
  return Object.fromEntries([...(element?.children ?? [])].map((each) => [each.tagName, each.textContent ?? ""]));
}

function readWidgets(parent: Element | undefined, macros: Macros): readonly WidgetModel[] {
  return [...(parent?.children ?? [])]
    .filter((each) => each.tagName === "widget")
    .map((each) => readWidget(each, macros));
}

export function readWidget(element: Element, outer: Macros): WidgetModel {
  const type = element.getAttribute("type") ?? "";
  const rule = Object.hasOwn(SUBSET.widgets, type) ? SUBSET.widgets[type] : undefined;
  const faults: string[] = [];
  let macros = outer;
  try {
    macros = nested(outer, readMacros(child(element, "macros")));
  } catch (error) {
    faults.push(messageOf(error));
  }
  const reader = new Reader(macros, faults, (name) => propertyText(element, name));
  const properties = reader.properties(element, rule?.properties ?? PLACE);
  if (!rule) faults.unshift(`there is no widget of the type "${type}" here`);
  const limits = ["rules", "scripts"]
    .filter((name) => child(element, name)?.childElementCount)
    .map((name) => `its ${name} do not run here`);
  return { type, properties, macros, faults, limits };
}

/** The text of a property of the widget itself, as $(pv_name) and $(traces[0].y_pv) ask for. */
function propertyText(element: Element, path: string): string | undefined {
  if (["pv_value", "actions"].includes(path)) return undefined;
  let found: Element | undefined = element;
  for (const part of path.split(".")) {
    const [, name, index] = /^(\w+)(?:\[(\d+)])?$/.exec(part) ?? [];
    found = found && name ? child(found, name) : undefined;
    if (index !== undefined) found = found?.children[Number(index)];
  }
  return found && found.childElementCount === 0 ? textOf(found) : undefined;
}

class Reader {
  constructor(
    private readonly macros: Macros,
    private readonly faults: string[],
    private readonly own: Fallback = () => undefined,
  ) {}

  properties(element: Element, rules: readonly PropertyRule[]): Properties {
    const values = new Map<string, Value>();
    for (const [name, type, fallback] of rules) {
      const source = name === "widgets" ? element : child(element, name);
      try {
        values.set(name, source ? this.value(source, type, fallback) : this.fallback(type, fallback));
      } catch (error) {
        this.faults.push(`${name}: ${messageOf(error)}`);
        values.set(name, this.fallback(type, fallback));
      }
    }
    return new Properties(values);
  }

  private expanded(text: string): string {
    return expand(text, this.macros, this.own);
  }

  private value(element: Element, type: string, fallback: unknown): Value {
    const [kind, detail = ""] = type.split(" ");
    const text = textOf(element) ?? "";
    switch (kind) {
      case "string":
        return this.expanded(text);
      case "file":
      case "pv":
        return this.resolved(text.trim());
      case "integer":
      case "double":
        return this.numberFrom(text, kind);
      case "boolean":
        return this.flagFrom(text);
      case "enum":
        return this.optionFrom(text, detail);
      case "color":
        return this.colorFrom(element);
      case "font":
        return fontFrom(element);
      case "macros":
        return readMacros(element);
      case "actions":
        return this.actionsFrom(element);
      case "points":
        return [...element.children].map((each): Point => [
          Number(each.getAttribute("x")),
          Number(each.getAttribute("y")),
        ]);
      case "color_map":
        return textOf(child(element, "name")) ?? (fallback as string);
      case "widgets":
        return readWidgets(element, this.macros);
      case "structure":
        return this.properties(element, structure(detail).properties ?? []);
      case "list":
        return this.listFrom(element, detail);
      default:
        throw new Error(`there is no type ${type}`);
    }
  }

  private listFrom(element: Element, name: string): Value {
    const rule = structure(name);
    const elements = [...element.children].filter((each) => each.tagName === rule.element);
    const rules = rule.properties;
    if (rules) return elements.map((each) => this.properties(each, rules));
    return elements.map((each) => this.expanded(textOf(each) ?? ""));
  }

  private fallback(type: string, value: unknown): Value {
    const [kind, detail = ""] = type.split(" ");
    switch (kind) {
      case "double":
        return Number(value);
      case "enum":
        return options(detail)[value as number] as string;
      case "color":
        return typeof value === "string" ? namedColor(value) : color(value as number[]);
      case "font":
        return SUBSET.fonts[value as string] as FontRule;
      case "structure":
        return this.defaults(structure(detail).properties ?? [], value as Record<string, unknown>);
      case "list": {
        const rules = structure(detail).properties;
        return rules
          ? (value as Record<string, unknown>[]).map((each) => this.defaults(rules, each))
          : (value as string[]);
      }
      default:
        return value as Value;
    }
  }

  private defaults(rules: readonly PropertyRule[], values: Record<string, unknown>): Properties {
    return new Properties(
      new Map(rules.map(([name, type, value]) => [name, this.fallback(type, values[name] ?? value)])),
    );
  }

  private resolved(text: string): string {
    const result = this.expanded(text);
    const missing = unresolved(result);
    if (missing.length) throw new Error(`the macro ${missing.join(", ")} of "${text}" has no value`);
    return result;
  }

  private numberFrom(text: string, kind: string): number {
    const result = this.expanded(text).trim();
    const value = result === "NaN" ? Number.NaN : Number(result);
    if (result === "" || (Number.isNaN(value) && result !== "NaN")) throw new Error(`"${result}" is not a number`);
    if (kind === "integer" && !Number.isInteger(value)) throw new Error(`"${result}" is not a whole number`);
    return value;
  }

  private flagFrom(text: string): boolean {
    const result = this.expanded(text).trim();
    if (!["true", "false"].includes(result)) throw new Error(`"${result}" is neither true nor false`);
    return result === "true";
  }

  private optionFrom(text: string, name: string): string {
    const result = this.expanded(text).trim();
    // Some generators write true for "ask before every press".
    if (name === "confirm_dialog" && ["true", "false"].includes(result)) return result === "true" ? "both" : "none";
    const words = options(name);
    const word = words[Number(result)] ?? words.find((each) => each === result.toLowerCase());
    if (word === undefined) throw new Error(`"${result}" is none of 0 to ${words.length - 1}`);
    return word;
  }

  private colorFrom(element: Element): Color {
    const found = child(element, "color");
    if (!found) throw new Error("<color> is missing");
    const name = found.getAttribute("name") ?? undefined;
    const parts = ["red", "green", "blue", "alpha"].map((each) =>
      Number(found.getAttribute(each) ?? (each === "alpha" ? 255 : Number.NaN)),
    );
    if (name !== undefined && SUBSET.colors[name]) return namedColor(name);
    if (parts.some((each) => !(each >= 0 && each <= 255)))
      throw new Error("red, green and blue are numbers from 0 to 255");
    return color(parts, name);
  }

  private actionsFrom(element: Element): readonly Action[] {
    const together = element.getAttribute("execute_as_one") === "true";
    return [...element.children]
      .filter((each) => each.tagName === "action")
      .map((each): Action => {
        const type = each.getAttribute("type") ?? "";
        const part = (name: string): string => this.expanded(textOf(child(each, name)) ?? "");
        const description = part("description");
        if (!isActionType(type))
          return {
            type: "refused",
            description: description || type,
            together,
            reason: `"${type}" is not allowed in a browser`,
          };
        switch (type) {
          case "write_pv":
            return {
              type,
              together,
              pv: this.resolved((textOf(child(each, "pv_name")) ?? "").trim()),
              value: part("value"),
              description: description || "Write PV",
            };
          case "open_display":
            return {
              type,
              together,
              file: this.resolved((textOf(child(each, "file")) ?? "").trim()),
              macros: nested(this.macros, readMacros(child(each, "macros"))),
              tab: ["tab", "window", "standalone"].includes(part("target").toLowerCase()),
              description: description || "Open display",
            };
          case "open_webpage":
            return { type, together, url: part("url").trim(), description: description || "Open web page" };
        }
      });
  }
}

function structure(name: string) {
  const rule = SUBSET.structures[name];
  if (!rule) throw new Error(`there is no structure ${name}`);
  return rule;
}

function options(name: string): readonly string[] {
  const words = SUBSET.enums[name];
  if (!words) throw new Error(`there is no enum ${name}`);
  return words;
}

function fontFrom(element: Element): FontRule {
  const found = child(element, "font");
  if (!found) throw new Error("<font> is missing");
  const named = SUBSET.fonts[found.getAttribute("name") ?? ""];
  const size = Number(found.getAttribute("size") ?? named?.size);
  if (!(size > 0)) throw new Error("the size of a font is a number above 0");
  return {
    family: found.getAttribute("family") ?? named?.family ?? "Liberation Sans",
    style: found.getAttribute("style") ?? named?.style ?? "REGULAR",
    size,
  };
}
