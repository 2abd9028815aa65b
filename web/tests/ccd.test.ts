import { describe, expect, it } from "vitest";
import { formatCcd, parseCcd } from "../src/ccd/query";

describe("the address of a camera's page", () => {
  it("names the exposure's PVs and the tab", () => {
    expect(parseCcd("#/ccd/CCD1:?tab=telemetry")).toEqual({ prefix: "CCD1:", tab: "telemetry" });
    expect(parseCcd("#/ccd/CCD1:?tab=nosuch")).toEqual({ prefix: "CCD1:", tab: "header" });
  });

  it("is not that of the panel ccd.bob, nor of anything else", () => {
    for (const hash of ["#/ccd", "#/ccd?P=CCD1:", "#/saxs/SAXS1:", "#/ccd/CCD1:/more"])
      expect(parseCcd(hash)).toBeUndefined();
  });

  it("comes back as it was", () => {
    for (const query of [{ prefix: "CCD1:", tab: "quick-look" } as const, { prefix: "N/A 2:", tab: "header" } as const])
      expect(parseCcd(formatCcd(query))).toEqual(query);
  });
});
