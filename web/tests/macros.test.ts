import { describe, expect, it } from "vitest";
import { expand, nested, unresolved } from "../src/macros";

describe("macros", () => {
  it("are written with round or curly brackets", () => {
    expect(expand("$(P):Temperature_${N}", { P: "CRYO1", N: "2" })).toBe("CRYO1:Temperature_2");
  });

  it("may stand within each other", () => {
    expect(expand("$(PREFIX_$(N))", { N: "2", PREFIX_2: "CRYO2" })).toBe("CRYO2");
  });

  it("have defaults, also empty ones", () => {
    expect(expand("$(N=1)$(M=)$(K=7)", { K: "3" })).toBe("13");
  });

  it("fall back to properties of the widget, which macros hide", () => {
    const own = (name: string): string | undefined => (name === "pv_name" ? "$(P):A" : undefined);
    expect(expand("$(pv_name)", { P: "X" }, own)).toBe("X:A");
    expect(expand("$(pv_name)", { pv_name: "Y" }, own)).toBe("Y");
  });

  it("stay as they are without a value, and are found", () => {
    expect(expand("$(P):$(N)", { P: "X" })).toBe("X:$(N)");
    expect(unresolved("X:$(N)${M}")).toEqual(["N", "M"]);
  });

  it("stay behind a backslash", () => {
    expect(expand("costs \\$(P)", { P: "X" })).toBe("costs $(P)");
  });

  it("of an inner panel take values from the outer one and replace them", () => {
    expect(nested({ P: "CRYO1", N: "1" }, { N: "2", PV: "$(P):Loop$(N)" })).toEqual({
      P: "CRYO1",
      N: "2",
      PV: "CRYO1:Loop2",
    });
  });

  it("that refer to each other without end are an error", () => {
    expect(() => expand("$(A)", { A: "$(B)x", B: "$(A)" })).toThrow(/without end/);
  });

  it("named like a member of every object have no value", () => {
    expect(expand("$(constructor)", {})).toBe("$(constructor)");
  });
});
