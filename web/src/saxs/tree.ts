// A form made from a JSON schema: groups, lists that grow and shrink, and what is wrong at the very key.

import { make, setText } from "../dom";
import { at, isList, isObject, type Json, keyOf, type Path, withValue } from "./json";
import { blank, hintOf, kindOf, problemOf, type Schema, schemaAt } from "./schema";

export interface TreeEvents {
  /** The operator changed something. */
  changed(document: Json): void;
  /** What else stands in the row of a key, such as a button that looks for files. */
  extra?(path: Path, row: HTMLElement): HTMLElement | undefined;
}

interface Row {
  readonly element: HTMLElement;
  readonly problem: HTMLElement;
  /** What is wrong as far as the page can tell. */
  own: string;
}

export class Tree {
  readonly element = make("div", "saxs-tree");
  private readonly rows = new Map<string, Row>();
  private readonly shut = new Set<string>();
  private readonly rest = make("ul", "saxs-rest");
  private document: Json = {};
  private told: readonly string[] = [];

  constructor(
    private readonly schema: Schema,
    private readonly events: TreeEvents,
  ) {}

  /** Draws a document. */
  show(document: Json): void {
    this.document = document;
    const focused = this.element.contains(globalThis.document.activeElement)
      ? (globalThis.document.activeElement?.closest<HTMLElement>("[data-key]")?.dataset.key ?? "")
      : "";
    this.rows.clear();
    this.rest.role = "alert";
    this.element.replaceChildren(this.rest, ...this.entriesOf(this.schema, []));
    this.complain(this.told);
    if (focused)
      this.rows
        .get(focused)
        ?.element.querySelector<HTMLElement>("input, select, button")
        ?.focus({ preventScroll: true });
  }

  /** Shows lines `Masks[0].qStart: why` at their keys, or at the nearest that there is. */
  complain(lines: readonly string[]): void {
    this.told = lines;
    const texts = new Map<string, string[]>();
    const others: string[] = [];
    for (const line of lines) {
      const [key = "", ...why] = line.split(": ");
      const nearest = this.nearest(key);
      if (nearest === undefined) others.push(line);
      else texts.set(nearest, [...(texts.get(nearest) ?? []), nearest === key ? why.join(": ") : line]);
    }
    for (const [key, row] of this.rows) this.mark(row, row.own || (texts.get(key)?.join("; ") ?? ""));
    this.rest.replaceChildren(...others.map((line) => make("li", "", line)));
    this.rest.hidden = others.length === 0;
  }

  /** How many keys the page itself finds wrong. */
  get ownProblems(): number {
    return [...this.rows.values()].filter((row) => row.own).length;
  }

  private nearest(key: string): string | undefined {
    for (let name = key; name; name = name.replace(/(\[\d+\]|\.?[^.[\]]+)$/, "")) if (this.rows.has(name)) return name;
    return undefined;
  }

  private mark({ element, problem }: Row, text: string): void {
    setText(problem, text);
    problem.hidden = !text;
    element.toggleAttribute("data-wrong", Boolean(text));
    const field = element.querySelector(":scope > .saxs-value :is(input, select)");
    field?.setAttribute("aria-invalid", String(Boolean(text)));
  }

  private put(path: Path, value: Json | undefined): void {
    this.document = withValue(this.document, path, value);
    this.events.changed(this.document);
  }

  /** As `put`, where rows come or go. */
  private rebuild(path: Path, value: Json | undefined): void {
    this.put(path, value);
    this.show(this.document);
  }

  // What it is made of ----------------------------------------------------------------------------------------------

  private entriesOf(schema: Schema, path: Path): HTMLElement[] {
    const known = Object.entries(schema.properties ?? {}).map(([key, rule]) =>
      this.entry(rule, [...path, key], key, !schema.required?.includes(key) && rule.default === undefined),
    );
    const value = at(this.document, path);
    const unknown = Object.keys(isObject(value) ? value : {}).filter((key) => !schema.properties?.[key]);
    return [...known, ...unknown.map((key) => this.stranger([...path, key], key))];
  }

  private entry(schema: Schema, path: Path, name: string, optional: boolean): HTMLElement {
    const value = at(this.document, path);
    if (optional && value === undefined) {
      const add = make("button", "saxs-button saxs-small", "Add");
      add.ariaLabel = `Add ${keyOf(path)}`;
      add.addEventListener("click", () => this.rebuild(path, blank(schema)));
      return this.row(path, name, [add], hintOf(schema) || "not given");
    }
    const remove = optional ? [this.remover(path)] : [];
    switch (kindOf(schema)) {
      case "group":
        return this.group(path, name, hintOf(schema), remove, this.entriesOf(schema, path));
      case "list":
        return this.list(schema, path, name, remove);
      default:
        return this.row(path, name, [this.field(schema, path), ...remove], hintOf(schema));
    }
  }

  private list(schema: Schema, path: Path, name: string, remove: readonly HTMLElement[]): HTMLElement {
    const value = at(this.document, path);
    const items = isList(value) ? value : [];
    const rule = schema.items ?? {};
    const [least, most] = [schema.minItems ?? 0, schema.maxItems ?? Number.POSITIVE_INFINITY];
    const add = make("button", "saxs-button saxs-small", "Add");
    add.ariaLabel = `Add to ${keyOf(path)}`;
    add.disabled = items.length >= most;
    add.addEventListener("click", () => this.rebuild([...path, items.length], blank(rule)));
    const isFixed = least === most;
    if (["group", "list"].includes(kindOf(rule))) {
      const groups = items.map((item, index) => {
        const place = [...path, index];
        const title = isObject(item) && typeof item.Name === "string" && item.Name ? ` ${item.Name}` : "";
        const tools = items.length > least ? [this.remover(place)] : [];
        return this.group(place, `${name}[${index}]${title}`, "", tools, this.entriesOf(rule, place));
      });
      const tools = isFixed ? [] : [add];
      return this.group(path, `${name} (${items.length})`, hintOf(schema), [...tools, ...remove], groups);
    }
    const fields = items.map((_, index) => {
      const place = [...path, index];
      const field = make("span", "saxs-item", this.field(rule, place));
      if (items.length > least) field.append(this.remover(place, "✕"));
      return field;
    });
    return this.row(path, name, [...fields, ...(isFixed ? [] : [add]), ...remove], hintOf(schema));
  }

  private remover(path: Path, text = "Delete"): HTMLElement {
    const button = make("button", "saxs-button saxs-small saxs-remove", text);
    button.ariaLabel = `Delete ${keyOf(path)}`;
    button.addEventListener("click", (event) => {
      event.preventDefault(); // it stands in a summary, which would open or shut
      this.rebuild(path, undefined);
    });
    return button;
  }

  private group(
    path: Path,
    name: string,
    hint: string,
    tools: readonly HTMLElement[],
    entries: readonly HTMLElement[],
  ): HTMLElement {
    const key = keyOf(path);
    const problem = make("span", "saxs-problem");
    const head = make("summary", "", make("span", "saxs-name", name), make("span", "saxs-hint", hint), ...tools);
    const box = make("details", "saxs-group", head, problem, ...entries);
    box.dataset.key = key;
    box.open = !this.shut.has(key);
    box.addEventListener("toggle", () => (box.open ? this.shut.delete(key) : this.shut.add(key)));
    this.rows.set(key, { element: box, problem, own: "" });
    return box;
  }

  private row(path: Path, name: string, fields: readonly HTMLElement[], hint: string): HTMLElement {
    const key = keyOf(path);
    const problem = make("span", "saxs-problem");
    const value = make("span", "saxs-value", ...fields);
    const element = make("div", "saxs-row", make("span", "saxs-name", name), value, make("span", "saxs-hint", hint));
    element.dataset.key = key;
    const extra = this.events.extra?.(path, element);
    if (extra) value.append(extra);
    element.append(problem);
    this.rows.set(key, { element, problem, own: this.problemIn(path) });
    return element;
  }

  private stranger(path: Path, name: string): HTMLElement {
    return this.row(path, name, [make("code", "", JSON.stringify(at(this.document, path))), this.remover(path)], "");
  }

  // Fields -----------------------------------------------------------------------------------------------------------

  private field(schema: Schema, path: Path): HTMLElement {
    const value = at(this.document, path) ?? null;
    const kind = kindOf(schema);
    if (kind === "choice") {
      const select = make("select", "saxs-input");
      for (const each of schema.enum ?? []) select.append(new Option(each, each, false, each === value));
      // What a file says stays visible, and is complained of.
      if (select.value !== value) select.prepend(new Option(String(value), String(value), false, true));
      select.addEventListener("change", () => this.edit(path, select.value));
      return named(select, path);
    }
    const input = make("input", `saxs-input saxs-${kind}`);
    if (kind === "switch") {
      input.type = "checkbox";
      input.checked = value === true;
      input.addEventListener("change", () => this.edit(path, input.checked));
      return named(input, path);
    }
    input.type = "text"; // a number field hides what it does not understand
    input.spellcheck = false;
    input.inputMode = kind === "number" ? "decimal" : "text";
    input.value = value === null ? "" : typeof value === "string" ? value : String(value);
    input.addEventListener("input", () => this.edit(path, kind === "number" ? numberIn(input.value) : input.value));
    return named(input, path);
  }

  private edit(path: Path, value: Json): void {
    this.put(path, value);
    // The row of a value; those of a short list share one.
    const key = [path, path.slice(0, -1)].find((place) => this.rows.has(keyOf(place)));
    const row = key && this.rows.get(keyOf(key));
    if (!row) return;
    row.own = this.problemIn(key);
    this.mark(row, row.own);
  }

  private problemIn(path: Path): string {
    const [value, schema] = [at(this.document, path), schemaAt(this.schema, path)];
    if (value === undefined || !schema) return "";
    if (!isList(value)) return problemOf(value, schema);
    return value.map((item) => problemOf(item, schema.items ?? {})).find(Boolean) ?? "";
  }
}

function named<T extends HTMLElement>(field: T, path: Path): T {
  field.ariaLabel = keyOf(path);
  return field;
}

/** What is no number stays a text, which the device refuses with its key. */
function numberIn(text: string): Json {
  const plain = text.trim().replace(",", ".");
  if (plain === "") return null;
  const number = Number(plain);
  return Number.isFinite(number) ? number : text;
}
