// The calibration that is edited here, beside the one of its file and the one of the queue.

import { at, differences, isList, type Json, same, withValue } from "./json";
import { completed, type Schema } from "./schema";

export type QueueState = "none" | "synced" | "modified";

/** Of this tab of the browser, so that another page of it may be looked at meanwhile. */
const KEY = "saxs draft ";

export class Draft {
  document: Json = {};
  /** Of the file; "" when it has none. */
  name = "";
  private saved: Json = {};
  private queueDocument: Json | undefined;

  constructor(
    private readonly schema: Schema,
    private readonly prefix: string,
  ) {}

  /** What was edited here before, if anything. */
  restore(): boolean {
    const text = sessionStorage.getItem(KEY + this.prefix);
    if (!text) return false;
    try {
      const kept = JSON.parse(text) as { name: string; document: Json; saved: Json };
      this.name = String(kept.name ?? "");
      this.saved = kept.saved;
      this.document = this.full(kept.document);
      return true;
    } catch {
      return false; // of another version of this page
    }
  }

  /** Begins with another document; `isSaved`: as it is in a file, or in the queue. */
  open(document: Json, name: string, isSaved = true): void {
    this.document = this.full(document);
    this.name = name;
    this.saved = isSaved ? this.document : {};
    this.keep();
  }

  edit(document: Json): void {
    this.document = document;
    this.keep();
  }

  markSaved(name: string): void {
    this.name = name;
    this.saved = this.document;
    this.keep();
  }

  /** undefined: there is no queue. */
  set queue(document: Json | undefined) {
    this.queueDocument = document === undefined ? undefined : this.full(document);
  }

  get queue(): Json | undefined {
    return this.queueDocument;
  }

  get state(): QueueState {
    if (this.queueDocument === undefined) return "none";
    return this.changes.length ? "modified" : "synced";
  }

  /** What is different from the queue, a line for each key. */
  get changes(): readonly string[] {
    return this.queueDocument === undefined ? [] : differences(this.queueDocument, this.document);
  }

  get isSaved(): boolean {
    return same(this.saved, this.document);
  }

  /** As the device is to have it: what nobody has filled in is missing. */
  get sent(): Json {
    return withoutBlanks(this.document);
  }

  /** Lines `key: why` of what the schema cannot say. */
  get problems(): readonly string[] {
    const slices = at(this.document, ["Slices"]);
    return at(this.document, ["GISAXSmode"]) === true && !(isList(slices) && slices.length)
      ? ["GISAXSmode: without slices there would be no curve of the first mask"]
      : [];
  }

  /** "" when the title names the folder of the images, as it should where results are told apart by it. */
  get titleWarning(): string {
    const [title, folder] = [at(this.document, ["Title"]), at(this.document, ["Directory", 0])];
    if (typeof folder !== "string" || folder === "." || folder === "" || String(title ?? "").includes(folder))
      return "";
    return `The title "${String(title ?? "")}" does not contain the folder ${folder}.`;
  }

  private full(document: Json): Json {
    return completed(document, this.schema);
  }

  private keep(): void {
    const { name, document, saved } = this;
    sessionStorage.setItem(KEY + this.prefix, JSON.stringify({ name, document, saved }));
  }
}

function withoutBlanks(document: Json): Json {
  let found = document;
  if (typeof document !== "object" || document === null) return document;
  for (const [key, value] of Object.entries(document) as [string, Json][]) {
    const part = isList(document) ? Number(key) : key;
    if (value !== null) found = withValue(found, [part], withoutBlanks(value));
    else if (!isList(document)) found = withValue(found, [part], undefined);
  }
  return found;
}
