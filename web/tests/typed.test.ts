import { describe, expect, it } from "vitest";
import { Pv } from "../src/pv";
import { inLimits, parseTyped, textOfWrite } from "../src/typed";

const pv = (update: Record<string, unknown>): Pv => {
  const made = new Pv("A", 0);
  made.merge(update, 0);
  return made;
};
const setpoint = pv({ vtype: "VDouble", value: 4.2, units: "K", drive_low: 0, drive_high: 10 });

describe("what is typed", () => {
  it("is a number, with or without its unit", () => {
    expect([
      parseTyped("5.5", setpoint),
      parseTyped(" 5.5 K ", setpoint),
      parseTyped("-1e-3", pv({ value: 1 })),
    ]).toEqual([5.5, 5.5, -0.001]);
  });

  it.each(["5,5", "5.5 mK", "five", "", "1e", "0x", "1 2", "NaN", "Infinity"])("%j is refused as a number", (text) => {
    expect(() => parseTyped(text, setpoint)).toThrow(/is not a number/);
  });

  it("outside of the limits is refused with them; on them it is not", () => {
    expect(() => parseTyped("11", setpoint)).toThrow("11 is outside [0, 10] K");
    expect([parseTyped("0", setpoint), parseTyped("10", setpoint)]).toEqual([0, 10]);
    expect(() => inLimits(-1, pv({ value: 1, drive_low: 0 }))).toThrow("-1 is below 0");
  });

  it("has no limits where both are 0, as EPICS says it, or where only the display is limited", () => {
    expect(parseTyped("99", pv({ value: 1, drive_low: 0, drive_high: 0 }))).toBe(99);
    expect(parseTyped("99", pv({ value: 1, min: 0, max: 10 }))).toBe(99);
  });

  it("is a label or an index of an enum", () => {
    const mode = pv({ vtype: "VEnum", value: 0, labels: ["Off", "PID", "2"] });
    expect(["PID", "pid", "1", "2"].map((text) => parseTyped(text, mode))).toEqual([1, 1, 1, 2]);
    expect(() => parseTyped("Ramp", mode)).toThrow('"Ramp" is none of Off, PID, 2');
  });

  it("is a text for a text, digits too", () => {
    expect(parseTyped(" 12 ", pv({ vtype: "VString", text: "x" }))).toBe(" 12 ");
  });

  it("is hexadecimal, binary or sexagesimal where that is shown", () => {
    const bits = pv({ vtype: "VInt", value: 1 });
    expect([parseTyped("0xB5", bits), parseTyped("B5", bits, "hex"), parseTyped("0b101", bits)]).toEqual([181, 181, 5]);
    expect(parseTyped("-0:30:00", bits, "sexagesimal")).toBe(-0.5);
    expect(parseTyped("12:00:00", bits, "sexagesimal_hms")).toBeCloseTo(Math.PI);
  });

  it("is a list for an array", () => {
    expect(parseTyped("[1, 2.5 3]", pv({ vtype: "VDoubleArray" }))).toEqual([1, 2.5, 3]);
    expect(parseTyped("a b, c", pv({ vtype: "VStringArray", texts: [] }))).toEqual(["a b", "c"]);
  });

  it("is told with label or unit", () => {
    expect(textOfWrite(setpoint, 5)).toBe("5 K");
    expect(textOfWrite(pv({ vtype: "VEnum", value: 0, labels: ["Off", "On"] }), 1)).toBe("On");
  });
});
