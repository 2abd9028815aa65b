import { describe, expect, it } from "vitest";
import { Pv } from "../src/pv";

const base64 = (array: { buffer: ArrayBufferLike }): string =>
  btoa(String.fromCharCode(...new Uint8Array(array.buffer)));
const fresh = (update: Record<string, unknown>): Pv => {
  const pv = new Pv("A", 0);
  pv.merge(update, 1000);
  return pv;
};

describe("a PV", () => {
  it("keeps what an update does not have", () => {
    const pv = fresh({
      vtype: "VDouble",
      value: 4.2,
      units: "K",
      precision: 3,
      alarm_low: 0,
      severity: "MINOR",
      readonly: true,
    });
    pv.merge({ value: 4.3, seconds: 100, nanos: 250_000_000 }, 2000);
    expect([pv.value, pv.units, pv.precision, pv.alarmLow, pv.severity, pv.readonly, pv.time]).toEqual([
      4.3,
      "K",
      3,
      0,
      "MINOR",
      true,
      100.25,
    ]);
  });

  it("forgets what is null", () => {
    const pv = fresh({ vtype: "VDouble", value: 1, alarm_high: 10, units: "K" });
    pv.merge({ alarm_high: null, units: null }, 2000);
    expect([pv.alarmHigh, pv.units]).toEqual([undefined, ""]);
  });

  it("reads what is not finite", () => {
    expect(fresh({ value: "NaN" }).value).toBeNaN();
    expect(fresh({ value: "-Infinity" }).value).toBe(Number.NEGATIVE_INFINITY);
  });

  it("unpacks arrays of every kind", () => {
    expect([...(fresh({ b64dbl: base64(Float64Array.of(0.1, -2, 1e300)) }).value as Float64Array)]).toEqual([
      0.1, -2, 1e300,
    ]);
    expect([...(fresh({ b64int: base64(Int32Array.of(-7, 65535)) }).value as Int32Array)]).toEqual([-7, 65535]);
    expect([...(fresh({ b64srt: base64(Int16Array.of(-300, 7)) }).value as Int16Array)]).toEqual([-300, 7]);
    expect([...(fresh({ b64byt: base64(Uint8Array.of(0, 255)) }).value as Uint8Array)]).toEqual([0, 255]);
    expect(fresh({ texts: ["a", "b"] }).value).toEqual(["a", "b"]);
  });

  it("is an enum with labels, index and text", () => {
    const pv = fresh({ vtype: "VEnum", value: 2, text: "Manual", labels: ["Off", "PID", "Manual"] });
    expect([pv.isEnum, pv.isNumber, pv.number, pv.text]).toEqual([true, false, 2, "Manual"]);
    pv.merge({ value: 0, text: "Off" }, 2000);
    expect([pv.number, pv.text, pv.labels.length]).toEqual([0, "Off", 3]);
  });

  it("stays with its last value when it is disconnected, and counts from then", () => {
    const pv = fresh({ value: 4.2 });
    pv.merge({ connected: false, reason: "the link is down" }, 5000);
    pv.merge({ connected: false, reason: "the link is down" }, 9000);
    expect([pv.connected, pv.reason, pv.value, pv.since]).toEqual([false, "the link is down", 4.2, 5000]);
    pv.merge({ connected: true, value: 4.3 }, 10_000);
    expect([pv.connected, pv.reason]).toEqual([true, ""]);
  });

  it("of a PVWS server is disconnected when its severity is UNDEFINED", () => {
    const pv = fresh({ value: 4.2, severity: "NONE" });
    pv.merge({ severity: "UNDEFINED" }, 5000);
    expect(pv.connected).toBe(false);
    pv.merge({ severity: "MAJOR", value: 9 }, 6000);
    expect([pv.connected, pv.severity]).toEqual([true, "MAJOR"]);
  });

  it("never takes an unknown severity for a good one", () => {
    expect(fresh({ value: 1, severity: "WHAT" }).severity).toBe("INVALID");
  });

  it("is writable only when the server says so, or says nothing (PVWS)", () => {
    expect(new Pv("A", 0).readonly).toBe(true);
    expect(fresh({ vtype: "VDouble", value: 1 }).readonly).toBe(false);
    expect(fresh({ vtype: "VDouble", value: 1, readonly: true }).readonly).toBe(true);
  });
});
