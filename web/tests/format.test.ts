import { describe, expect, it } from "vitest";
import { formatAge, formatNumber, formatPv } from "../src/format";
import { Pv } from "../src/pv";

const pv = (update: Record<string, unknown>): Pv => {
  const made = new Pv("A", 0);
  made.merge(update, 0);
  return made;
};
const plain = { format: "default", precision: -1, units: false };

describe("a number", () => {
  it("has the precision of the widget, then of the PV, then six digits", () => {
    const reading = pv({ vtype: "VDouble", value: 0.00314159, precision: 2, units: "K" });
    expect(formatPv(reading, { ...plain, precision: 4, units: true })).toBe("0.0031 K");
    expect(formatPv(reading, plain)).toBe("0.00");
    expect(formatNumber(4.2134567, "default", undefined)).toBe("4.21346");
    expect(formatNumber(-273.15, "decimal", 1)).toBe("-273.1");
  });

  it.each([
    ["exponential", 12345.678, 3, "1.235E4"],
    ["exponential", 0.00012, 1, "1.2E-4"],
    ["engineering", 12345.678, 2, "12.35E3"],
    ["engineering", 999.9999, 1, "1.0E3"],
    ["compact", 0.00002, 1, "2.0E-5"],
    ["compact", 12.5, 1, "12.5"],
    ["hex", 181, 4, "0x00B5"],
    ["hex", -1, undefined, "0xFFFFFFFF"],
    ["binary", 5, 8, "0b00000101"],
    ["sexagesimal", 12.51, 7, "12:30:36.000"],
    ["sexagesimal", -0.5, 4, "-0:30:00"],
    ["sexagesimal_hms", Math.PI, 4, "12:00:00"],
    ["sexagesimal_rad", Math.PI / 2, 4, "90:00:00"],
    ["sexagesimal", 1.99999999, 4, "2:00:00"],
  ])("%s of %d with precision %s is %s", (format, value, digits, text) => {
    expect(formatNumber(value, format, digits)).toBe(text);
  });

  it("that is none says so", () => {
    expect(formatNumber(Number.NaN, "decimal", 3)).toBe("NaN");
    expect(formatNumber(Number.POSITIVE_INFINITY, "hex", 3)).toBe("Infinity");
  });

  it("beyond float64 shows all its digits", () => {
    expect(formatPv(pv({ value: 9007199254740992, text: "9007199254740993" }), plain)).toBe("9007199254740993");
  });
});

describe("other values", () => {
  it("enums show their label, or their index", () => {
    const mode = pv({ vtype: "VEnum", value: 1, text: "PID", labels: ["Off", "PID"] });
    expect([formatPv(mode, plain), formatPv(mode, { ...plain, format: "decimal" })]).toEqual(["PID", "1"]);
  });

  it("arrays show their beginning and how long they are", () => {
    const array = pv({ texts: ["a", "b"] });
    expect(formatPv(array, plain)).toBe("[a, b]");
    const long = new Pv("L", 0);
    long.value = new Float64Array(1024);
    expect(formatPv(long, plain)).toMatch(/^\[0, 0, .*\.\.\. 1024 values]$/);
  });

  it("arrays of characters are texts when that is asked for", () => {
    const text = new Pv("T", 0);
    text.value = Uint8Array.of(75, 195, 164, 108, 116, 101, 0, 114);
    expect(formatPv(text, { ...plain, format: "string" })).toBe("Kälte");
  });

  it("no value is no text, and has no unit", () => {
    expect(formatPv(pv({ units: "K" }), { ...plain, units: true })).toBe("");
  });

  it("ages are short", () => {
    expect([3.9, 99, 240, 7300, 600_000].map(formatAge)).toEqual(["3 s", "99 s", "4 min", "2 h", "6 d"]);
  });
});
