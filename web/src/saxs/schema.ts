// The parts of JSON schema that forms are made of: defaults, bounds, what an item of a list begins with.

import { isList, isObject, type Json, type Path } from "./json";

export interface Schema {
  readonly type?: string | readonly string[];
  readonly description?: string;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly items?: Schema;
  readonly minItems?: number;
  readonly maxItems?: number;
  readonly enum?: readonly string[];
  readonly default?: Json;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly exclusiveMinimum?: number;
  readonly exclusiveMaximum?: number;
}

export type Kind = "group" | "list" | "choice" | "switch" | "number" | "text";

/** What a value is edited with. */
export function kindOf(schema: Schema): Kind {
  if (schema.enum) return "choice";
  const types = typesOf(schema);
  if (types.includes("object")) return "group";
  if (types.includes("array")) return "list";
  if (types.includes("boolean")) return "switch";
  return types.includes("number") || types.includes("integer") ? "number" : "text";
}

function typesOf(schema: Schema): readonly string[] {
  return typeof schema.type === "string" ? [schema.type] : (schema.type ?? []);
}

/** The document with the defaults of its schema at all levels. */
export function completed(document: Json, schema: Schema): Json {
  if (isList(document)) return document.map((item) => (schema.items ? completed(item, schema.items) : item));
  if (!isObject(document)) return document;
  const entries: Record<string, Json> = {};
  for (const [key, rule] of Object.entries(schema.properties ?? {})) {
    const value = document[key] ?? rule.default;
    if (value !== undefined) entries[key] = completed(value, rule);
  }
  // What the schema does not know stays: the device says that it is wrong.
  return { ...document, ...entries };
}

/** What a value begins with: its default, or as little as there can be; null where somebody has to say. */
export function blank(schema: Schema): Json {
  if (schema.default !== undefined) return completed(schema.default, schema);
  switch (kindOf(schema)) {
    case "group": {
      const required = (schema.required ?? []).flatMap((key) => {
        const rule = schema.properties?.[key];
        return rule ? [[key, blank(rule)] as const] : [];
      });
      return completed(Object.fromEntries(required), schema);
    }
    case "list":
      return Array.from({ length: schema.minItems ?? 0 }, () => blank(schema.items ?? {}));
    case "choice":
      return schema.enum?.[0] ?? null;
    case "switch":
      return false;
    case "number":
      return null;
    case "text":
      return "";
  }
}

/** Where in a schema a path leads. */
export function schemaAt(schema: Schema, path: Path): Schema | undefined {
  let found: Schema | undefined = schema;
  for (const part of path) found = typeof part === "number" ? found?.items : found?.properties?.[part];
  return found;
}

/** "" when a number may be so; the device has the last word. */
export function problemOf(value: Json, schema: Schema): string {
  if (kindOf(schema) !== "number" || typeof value === "string") return "";
  if (typeof value !== "number") return "a number is missing";
  if (!typesOf(schema).includes("number") && !Number.isInteger(value)) return "must be a whole number";
  const [low, high] = [schema.minimum, schema.maximum];
  if (low !== undefined && value < low) return `must be at least ${low}`;
  if (high !== undefined && value > high) return `must be at most ${high}`;
  if (schema.exclusiveMinimum !== undefined && value <= schema.exclusiveMinimum)
    return `must be more than ${schema.exclusiveMinimum}`;
  if (schema.exclusiveMaximum !== undefined && value >= schema.exclusiveMaximum)
    return `must be less than ${schema.exclusiveMaximum}`;
  return "";
}

/** `sub-pixels per axis; 1 to 20; default 3` */
export function hintOf(schema: Schema): string {
  return [schema.description, boundsOf(schema), defaultOf(schema)].filter(Boolean).join("; ");
}

function boundsOf(schema: Schema): string {
  const rule = kindOf(schema) === "list" && kindOf(schema.items ?? {}) === "number" ? (schema.items ?? {}) : schema;
  if (kindOf(rule) !== "number") return "";
  const low = rule.minimum ?? rule.exclusiveMinimum;
  const high = rule.maximum ?? rule.exclusiveMaximum;
  // Bounds of a million are there for accidents, not for people.
  const wide = high === undefined || Math.abs(high) >= 1e5;
  const less = rule.exclusiveMaximum === undefined ? "at most" : "less than";
  if (rule.exclusiveMinimum !== undefined) return `more than ${low}${wide ? "" : `, ${less} ${high}`}`;
  if (wide) return low === undefined || low <= -1e5 ? "" : `at least ${low}`;
  return low === undefined ? `at most ${high}` : `${low} to ${high}`;
}

function defaultOf(schema: Schema): string {
  const value = schema.default;
  if (value === undefined || value === "" || isObject(value)) return "";
  if (isList(value) && !(value.length && value.every((item) => typeof item === "number"))) return "";
  if (typeof value === "boolean") return value ? "default on" : "default off";
  return `default ${isList(value) ? value.join(", ") : String(value)}`;
}
