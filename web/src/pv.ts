// The state of one PV, merged from its updates.

export type Severity = "NONE" | "MINOR" | "MAJOR" | "INVALID" | "UNDEFINED";
export type NumberArray = Float64Array | Float32Array | Int32Array | Int16Array | Uint8Array;
export type PvValue = number | string | readonly string[] | NumberArray | undefined;

/** An `update` of docs/panel-sockets.md: a missing key keeps its last value, null removes it. */
export type Update = Readonly<Record<string, unknown>>;

const SEVERITIES: readonly Severity[] = ["NONE", "MINOR", "MAJOR", "INVALID", "UNDEFINED"];
const ARRAYS: Readonly<Record<string, (bytes: ArrayBuffer) => NumberArray>> = {
  b64dbl: (bytes) => new Float64Array(bytes),
  b64flt: (bytes) => new Float32Array(bytes),
  b64int: (bytes) => new Int32Array(bytes),
  b64srt: (bytes) => new Int16Array(bytes),
  b64byt: (bytes) => new Uint8Array(bytes),
};

export class Pv {
  value: PvValue;
  /** The label of an enum, or all digits of a number that float64 cannot hold. */
  text: string | undefined;
  vtype = "";
  time: number | undefined;
  severity: Severity = "UNDEFINED";
  status = "";
  connected = false;
  reason = "not connected yet";
  readonly = true;
  units = "";
  description = "";
  precision: number | undefined;
  min: number | undefined;
  max: number | undefined;
  driveLow: number | undefined;
  driveHigh: number | undefined;
  warnLow: number | undefined;
  warnHigh: number | undefined;
  alarmLow: number | undefined;
  alarmHigh: number | undefined;
  labels: readonly string[] = [];
  period: number | undefined;
  confirm = "";

  /** `since`: when it was last connected, or first asked for; in ms of this computer. */
  constructor(
    readonly name: string,
    public since: number,
  ) {}

  get isNumber(): boolean {
    return typeof this.value === "number" && !this.isEnum;
  }

  get isEnum(): boolean {
    return this.labels.length > 0;
  }

  /** The value as a number: the index of an enum, NaN where there is none. */
  get number(): number {
    if (typeof this.value === "number") return this.value;
    if (typeof this.value === "string") return this.value.trim() === "" ? Number.NaN : Number(this.value);
    return Number.NaN;
  }

  disconnect(reason: string, now: number): void {
    if (this.connected) this.since = now;
    this.connected = false;
    this.reason = reason;
  }

  merge(update: Update, now: number): void {
    this.mergeValue(update);
    if (typeof update.seconds === "number") this.time = update.seconds + Number(update.nanos ?? 0) / 1e9;
    if ("severity" in update) {
      const severity = update.severity as Severity;
      this.severity = SEVERITIES.includes(severity) ? severity : "INVALID";
    } else if (this.severity === "UNDEFINED" && this.hasValue(update)) this.severity = "NONE";
    const strings = ["vtype", "status", "units", "description", "confirm"] as const;
    for (const key of strings) if (key in update) this[key] = String(update[key] ?? "");
    if ("readonly" in update) this.readonly = update.readonly === true;
    else if (this.vtype === "" || update.vtype !== undefined) this.readonly = false;
    if ("labels" in update) this.labels = Array.isArray(update.labels) ? update.labels.map(String) : [];
    for (const [key, member] of NUMBERS) if (key in update) this[member] = finite(update[key]);
    this.mergeConnected(update, now);
  }

  private hasValue(update: Update): boolean {
    return (
      "value" in update || "text" in update || "texts" in update || Object.keys(ARRAYS).some((key) => key in update)
    );
  }

  private mergeValue(update: Update): void {
    const packed = Object.keys(ARRAYS).find((key) => key in update);
    if (packed) {
      this.value = unpack(packed, String(update[packed]));
      this.text = undefined;
    } else if (Array.isArray(update.texts)) {
      this.value = update.texts.map(String);
      this.text = undefined;
    } else if ("value" in update) {
      const value = update.value;
      this.value =
        value === null ? undefined : Array.isArray(value) ? Float64Array.from(value, Number) : toNumber(value);
      this.text = typeof update.text === "string" ? update.text : undefined;
    } else if ("text" in update) {
      this.value = String(update.text ?? "");
      this.text = undefined;
    }
  }

  private mergeConnected(update: Update, now: number): void {
    const connected = "connected" in update ? update.connected === true : this.severity !== "UNDEFINED";
    if (!connected) this.disconnect(String(update.reason ?? "the source of this value is away"), now);
    else {
      this.connected = true;
      this.reason = "";
      this.since = now;
    }
  }
}

const NUMBERS = [
  ["precision", "precision"],
  ["min", "min"],
  ["max", "max"],
  ["drive_low", "driveLow"],
  ["drive_high", "driveHigh"],
  ["warn_low", "warnLow"],
  ["warn_high", "warnHigh"],
  ["alarm_low", "alarmLow"],
  ["alarm_high", "alarmHigh"],
  ["period", "period"],
] as const;

function toNumber(value: unknown): number | string {
  if (typeof value === "number") return value;
  if (typeof value === "boolean") return value ? 1 : 0;
  const text = String(value);
  return ["NaN", "Infinity", "-Infinity"].includes(text) ? Number(text) : text;
}

function finite(value: unknown): number | undefined {
  return typeof value === "number" && Number.isFinite(value) ? value : undefined;
}

function unpack(key: string, base64: string): NumberArray {
  const binary = atob(base64);
  const bytes = new Uint8Array(binary.length);
  for (let index = 0; index < binary.length; index++) bytes[index] = binary.charCodeAt(index);
  return (ARRAYS[key] as (bytes: ArrayBuffer) => NumberArray)(bytes.buffer);
}
