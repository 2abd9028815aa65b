// @vitest-environment jsdom
import { expect, it, vi } from "vitest";
import { COLOR_MAPS } from "../src/image/colormaps";
import { SUBSET } from "../src/subset";
import subset from "../../servers/panels/widgets.json";

it("every widget of the subset is drawn, and no other", async () => {
  // uPlot asks for the resolution of the screen as soon as it is imported.
  vi.stubGlobal("matchMedia", () => new EventTarget());
  const { WIDGETS } = await import("../src/widgets");
  expect(Object.keys(WIDGETS).sort()).toEqual(Object.keys(SUBSET.widgets).sort());
});

it("every colour map of the subset exists", () => {
  expect(subset.color_maps.filter((name) => !COLOR_MAPS.includes(name))).toEqual([]);
});

it("every type of a property is one that is read", () => {
  const kinds = new Set([
    "string",
    "pv",
    "file",
    "integer",
    "double",
    "boolean",
    "color",
    "font",
    "macros",
    "actions",
    "points",
    "color_map",
    "widgets",
    "enum",
    "structure",
    "list",
  ]);
  for (const [type, rule] of Object.entries(SUBSET.widgets))
    for (const [name, kind] of rule.properties)
      expect(kinds.has(kind.split(" ")[0] as string), `${type}.${name}: ${kind}`).toBe(true);
});
