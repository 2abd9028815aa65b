// JSON documents: a place in one, another value there, what is different between two.

export type Json = null | boolean | number | string | readonly Json[] | JsonObject;
export interface JsonObject {
  readonly [key: string]: Json;
}
export type Path = readonly (string | number)[];

export function isObject(value: Json | undefined): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

export function isList(value: Json | undefined): value is readonly Json[] {
  return Array.isArray(value);
}

/** `Masks[0].qStart`, as the device names keys. */
export function keyOf(path: Path): string {
  return path.map((part, index) => (typeof part === "number" ? `[${part}]` : index ? `.${part}` : part)).join("");
}

export function at(document: Json | undefined, path: Path): Json | undefined {
  let value = document;
  for (const part of path)
    value =
      typeof part === "number" ? (isList(value) ? value[part] : undefined) : isObject(value) ? value[part] : undefined;
  return value;
}

/** The document with another value at a place; with undefined there is none any more. */
export function withValue(document: Json, path: Path, value: Json | undefined): Json {
  const [part, ...rest] = path;
  if (part === undefined) return value ?? null;
  if (typeof part === "number") {
    const items = isList(document) ? [...document] : [];
    const item = rest.length ? withValue(items[part] ?? null, rest, value) : value;
    if (item === undefined) items.splice(part, 1);
    else items[part] = item;
    return items;
  }
  const entries: Record<string, Json> = isObject(document) ? { ...document } : {};
  const entry = rest.length ? withValue(entries[part] ?? null, rest, value) : value;
  if (entry === undefined) delete entries[part];
  else entries[part] = entry;
  return entries;
}

export function same(a: Json | undefined, b: Json | undefined): boolean {
  return differences(a, b).length === 0;
}

/** One line for each value that is different: `Wavelength: 1.54 → 1.0`. */
export function differences(a: Json | undefined, b: Json | undefined, path: Path = []): string[] {
  if (isObject(a) && isObject(b))
    return [...new Set([...Object.keys(a), ...Object.keys(b)])].flatMap((key) =>
      differences(a[key], b[key], [...path, key]),
    );
  if (isList(a) && isList(b))
    return Array.from({ length: Math.max(a.length, b.length) }, (_, index) =>
      differences(a[index], b[index], [...path, index]),
    ).flat();
  return Object.is(a, b) ? [] : [`${keyOf(path)}: ${shown(a)} → ${shown(b)}`];
}

function shown(value: Json | undefined): string {
  if (value === undefined) return "none";
  const text = JSON.stringify(value);
  return text.length > 60 ? `${text.slice(0, 57)}...` : text;
}

/** Throws an error that a person understands. */
export function parseJson(text: string): Json {
  try {
    return JSON.parse(text) as Json;
  } catch (error) {
    throw new Error(`this is not JSON: ${error instanceof Error ? error.message : String(error)}`, { cause: error });
  }
}

/** In ASCII: texts of Tango have no more than 256 characters to choose from. */
export function asciiJson(document: Json): string {
  return JSON.stringify(document).replace(/[\u0080-\uffff]/g, (each) => {
    return `\\u${each.charCodeAt(0).toString(16).padStart(4, "0")}`;
  });
}
