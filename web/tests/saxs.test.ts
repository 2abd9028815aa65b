// @vitest-environment jsdom
import { beforeEach, describe, expect, it } from "vitest";
import calibration from "../../devices/drivers/saxs_calibration.schema.json";
import { Draft } from "../src/saxs/draft";
import { recent, remember } from "../src/saxs/files";
import { joined } from "../src/saxs/folder";
import { correlationLength, csvOf, histogram, Integrals, type Part } from "../src/saxs/integrals";
import { asciiJson, at, differences, type Json, parseJson, withValue } from "../src/saxs/json";
import { formatSaxs, parseSaxs } from "../src/saxs/query";
import { linearUpTo } from "../src/saxs/scales";
import { blank, completed, hintOf, problemOf, type Schema, schemaAt } from "../src/saxs/schema";
import { Tree } from "../src/saxs/tree";

const SCHEMA = calibration as unknown as Schema;
const GIVEN: Json = {
  Title: "agbeh",
  Geometry: { BeamCenter: [805.087, 422.371], DedectorDistanceMM: 835.593, PixelSizeMicroM: [172] },
  Wavelength: 1.54,
  Masks: [{ MaskFile: "AAA_integ.msk", Oversampling: 3 }, { Name: "narrow" }],
};

beforeEach(() => {
  localStorage.clear();
  sessionStorage.clear();
});

describe("the address of the panel", () => {
  it("is read back as it was made, and is no panel's", () => {
    const query = { prefix: "SAXS1:", tab: "plots", given: undefined } as const;
    expect(formatSaxs(query)).toBe("#/saxs/SAXS1:?tab=plots");
    expect(parseSaxs(formatSaxs(query))).toEqual(query);
    expect(parseSaxs("#/saxs/BL7%2F1:?tab=none")).toEqual({ prefix: "BL7/1:", tab: "calibration", given: undefined });
    for (const other of ["#/saxs", "#/saxs?P=SAXS1:", "#/saxs/", "#/gen/saxs_detector_1"])
      expect(parseSaxs(other)).toBeUndefined();
  });

  it("may bring a calibration along, in UTF-8", () => {
    const bytes = new TextEncoder().encode(JSON.stringify({ Title: "Bäume β", Wavelength: 1.54 }));
    const text = btoa(String.fromCharCode(...bytes))
      .replaceAll("+", "-")
      .replaceAll("/", "_")
      .replace(/=+$/, "");
    const found = parseSaxs(`#/saxs/SAXS1:?file=a%20b.saxsconf&calibration=${text}`);
    expect(found?.given).toEqual({ name: "a b.saxsconf", document: { Title: "Bäume β", Wavelength: 1.54 } });
    expect(formatSaxs(found!)).toBe("#/saxs/SAXS1:");
    expect(() => parseSaxs("#/saxs/SAXS1:?calibration=e30x")).toThrow("this is not JSON");
  });
});

describe("a document", () => {
  it("keeps what is not changed, and grows and shrinks at a place", () => {
    const changed = withValue(GIVEN, ["Masks", 1, "qStop"], 2.5);
    expect(at(changed, ["Masks", 1])).toEqual({ Name: "narrow", qStop: 2.5 });
    expect(at(GIVEN, ["Masks", 1])).toEqual({ Name: "narrow" });
    expect(at(withValue(GIVEN, ["Masks", 0], undefined), ["Masks"])).toEqual([{ Name: "narrow" }]);
    expect(at(withValue(GIVEN, ["Title"], undefined), ["Title"])).toBeUndefined();
    expect(differences(GIVEN, changed)).toEqual(["Masks[1].qStop: none → 2.5"]);
  });

  it("tells what is different, by key", () => {
    const other = withValue(withValue(GIVEN, ["Geometry", "BeamCenter", 0], 805), ["Masks", 1], undefined);
    expect(differences(GIVEN, other)).toEqual([
      "Geometry.BeamCenter[0]: 805.087 → 805",
      'Masks[1]: {"Name":"narrow"} → none',
    ]);
    expect(differences(GIVEN, parseJson(asciiJson(GIVEN)))).toEqual([]);
    expect(asciiJson({ Title: "β ä" })).toBe('{"Title":"\\u03b2 \\u00e4"}');
  });
});

describe("a schema", () => {
  it("fills in defaults at all levels", () => {
    const full = completed(GIVEN, SCHEMA);
    expect(at(full, ["Geometry", "Imagesize"])).toEqual([1043, 981]);
    expect(at(full, ["Geometry", "Tilt"])).toEqual({ TiltAngleDeg: 0, TiltRotDeg: 0 });
    expect(at(full, ["Masks", 1])).toMatchObject({ Name: "narrow", Oversampling: 3, "Phi-mode": false });
    expect(at(full, ["PolarizationCorrection"])).toBeUndefined();
    expect(completed(full, SCHEMA)).toEqual(full);
    expect(at(completed({ Tipo: 1 }, SCHEMA), ["Tipo"])).toBe(1);
  });

  it("begins a new document with as little as there can be", () => {
    const fresh = blank(SCHEMA);
    expect(at(fresh, ["Geometry", "BeamCenter"])).toEqual([null, null]);
    expect(at(fresh, ["Masks"])).toHaveLength(1);
    expect(blank(schemaAt(SCHEMA, ["PolarizationCorrection"])!)).toEqual({ Fraction: 0.95, Angle: 0 });
    expect(blank(schemaAt(SCHEMA, ["Slices", 0])!)).toMatchObject({ Direction: "x", CutMargin: 1 });
  });

  it.each([
    [["Masks", 0, "Oversampling"], 0, "must be at least 1"],
    [["Masks", 0, "Oversampling"], 21, "must be at most 20"],
    [["Masks", 0, "Oversampling"], 2.5, "must be a whole number"],
    [["Wavelength"], 0, "must be more than 0"],
    [["Geometry", "Tilt", "TiltAngleDeg"], 90, "must be less than 90"],
    [["Wavelength"], null, "a number is missing"],
    [["Wavelength"], 1.54, ""],
    [["Slices", 0, "CutPosition"], "400", ""],
  ] as const)("judges %j = %j: %s", (path, value, why) => {
    expect(problemOf(value, schemaAt(SCHEMA, path)!)).toBe(why);
  });

  it("says what may stand there", () => {
    expect(hintOf(schemaAt(SCHEMA, ["Masks", 0, "Oversampling"])!)).toBe("sub-pixels per axis; 1 to 20; default 3");
    expect(hintOf(schemaAt(SCHEMA, ["Geometry", "Tilt", "TiltAngleDeg"])!)).toBe(
      "more than -90, less than 90; default 0",
    );
    expect(hintOf(schemaAt(SCHEMA, ["Geometry", "Imagesize"])!)).toBe("[rows, columns]; 1 to 65536; default 1043, 981");
  });
});

describe("the form", () => {
  let told: Json;
  const form = (document: Json = completed(GIVEN, SCHEMA)): Tree => {
    const tree = new Tree(SCHEMA, { changed: (changed) => (told = changed) });
    tree.show(document);
    return tree;
  };
  const field = (tree: Tree, key: string): HTMLInputElement =>
    tree.element.querySelector(`[aria-label="${key}"]`) as HTMLInputElement;
  const type = (tree: Tree, key: string, text: string): void => {
    field(tree, key).value = text;
    field(tree, key).dispatchEvent(new Event("input"));
  };
  const problem = (tree: Tree, key: string): string =>
    tree.element.querySelector(`[data-key="${key}"] > .saxs-problem`)?.textContent ?? "";

  it("shows every value with the kind of field that it needs", () => {
    const tree = form();
    expect(field(tree, "Geometry.BeamCenter[1]").value).toBe("422.371");
    expect(field(tree, "Masks[0].Phi-mode").type).toBe("checkbox");
    expect(tree.element.querySelectorAll('[aria-label$=".qStart"]')).toHaveLength(2);
  });

  it("tells of what is typed, and keeps what is no number for the device to refuse", () => {
    const tree = form();
    type(tree, "Wavelength", "1,5");
    expect(at(told, ["Wavelength"])).toBe(1.5);
    type(tree, "Wavelength", "0");
    expect(problem(tree, "Wavelength")).toBe("must be more than 0");
    expect(tree.ownProblems).toBe(1);
    type(tree, "Wavelength", "wide");
    expect(at(told, ["Wavelength"])).toBe("wide");
    type(tree, "Wavelength", "");
    expect(at(told, ["Wavelength"])).toBeNull();
    expect(field(tree, "Wavelength").getAttribute("aria-invalid")).toBe("true");
  });

  it("adds and deletes items of lists within their bounds", () => {
    const tree = form();
    field(tree, "Add to Masks").click();
    expect(at(told, ["Masks"])).toHaveLength(3);
    expect(at(told, ["Masks", 2, "Oversampling"])).toBe(3);
    field(tree, "Delete Masks[0]").click();
    field(tree, "Delete Masks[0]").click();
    expect(at(told, ["Masks"])).toHaveLength(1);
    expect(field(tree, "Delete Masks[0]"), "one mask there must be").toBeNull();
    expect(field(tree, "Add to Geometry.BeamCenter"), "two numbers, no more").toBeNull();
    field(tree, "Add to Geometry.PixelSizeMicroM").click();
    expect(at(told, ["Geometry", "PixelSizeMicroM"])).toEqual([172, null]);
    expect(field(tree, "Add to Geometry.PixelSizeMicroM").disabled).toBe(true);
  });

  it("offers what may be left out", () => {
    const tree = form();
    field(tree, "Add PolarizationCorrection").click();
    expect(at(told, ["PolarizationCorrection"])).toEqual({ Fraction: 0.95, Angle: 0 });
    field(tree, "Delete PolarizationCorrection").click();
    expect(at(told, ["PolarizationCorrection"])).toBeUndefined();
  });

  it("shows what the device says at the very key, or at the nearest, and nothing of it is lost", () => {
    const tree = form();
    tree.complain([
      "Masks[1].MaskFile: no such file: x.msk",
      "Geometry.Imagesize[0]: 0 is less than 1",
      "calibration: something else",
    ]);
    expect(problem(tree, "Masks[1].MaskFile")).toBe("no such file: x.msk");
    expect(problem(tree, "Masks[0].MaskFile")).toBe("");
    expect(problem(tree, "Geometry.Imagesize")).toBe("Geometry.Imagesize[0]: 0 is less than 1");
    expect(tree.element.querySelector(".saxs-rest")?.textContent).toBe("calibration: something else");
    tree.complain([]);
    expect(tree.element.querySelectorAll("[data-wrong]")).toHaveLength(0);
  });

  it("shows keys that the schema does not know, and lets go of them", () => {
    const tree = form(withValue(completed(GIVEN, SCHEMA), ["Masks", 0, "Overhead"], 7));
    field(tree, "Delete Masks[0].Overhead").click();
    expect(at(told, ["Masks", 0, "Overhead"])).toBeUndefined();
  });
});

describe("the draft", () => {
  it("stands beside the queue: none, synced, modified", () => {
    const draft = new Draft(SCHEMA, "SAXS1:");
    draft.open(GIVEN, "cal.saxsconf");
    expect(draft.state).toBe("none");
    // What the queue has may be without the defaults.
    draft.queue = GIVEN;
    expect([draft.state, draft.isSaved]).toEqual(["synced", true]);
    draft.edit(withValue(draft.document, ["Wavelength"], 1));
    expect([draft.state, draft.isSaved]).toEqual(["modified", false]);
    expect(draft.changes).toEqual(["Wavelength: 1.54 → 1"]);
    const again = new Draft(SCHEMA, "SAXS1:");
    expect(again.restore()).toBe(true);
    expect(again.document).toEqual(draft.document);
    expect(new Draft(SCHEMA, "SAXS2:").restore()).toBe(false);
  });

  it("warns of a title without the folder, and wants slices in GISAXS mode", () => {
    const draft = new Draft(SCHEMA, "SAXS1:");
    draft.open(GIVEN, "");
    expect(draft.titleWarning).toBe("");
    draft.edit(withValue(draft.document, ["Directory"], ["2026-11", "img"]));
    expect(draft.titleWarning).toBe('The title "agbeh" does not contain the folder 2026-11.');
    draft.edit(withValue(draft.document, ["Title"], "2026-11 agbeh"));
    expect(draft.titleWarning).toBe("");
    draft.edit(withValue(draft.document, ["GISAXSmode"], true));
    expect(draft.problems[0]).toMatch(/^GISAXSmode: without slices/);
    draft.edit(withValue(draft.document, ["Slices", 0], {}));
    expect(draft.problems).toEqual([]);
  });

  it("sends no blanks", () => {
    const draft = new Draft(SCHEMA, "SAXS1:");
    draft.open(blank(SCHEMA), "");
    expect(at(draft.sent, ["Geometry", "DedectorDistanceMM"])).toBeUndefined();
    expect(at(draft.sent, ["Masks", 0, "Oversampling"])).toBe(3);
  });
});

describe("files", () => {
  it("the last five are known, the newest first", () => {
    for (let n = 1; n <= 7; n++) remember({ name: `${n}.saxsconf`, document: { Title: String(n) } });
    remember({ name: "5.saxsconf", document: { Title: "again" } });
    expect(recent().map(({ name }) => name[0])).toEqual(["5", "7", "6", "4", "3"]);
    expect(recent()[0]?.document).toEqual({ Title: "again" });
    localStorage.setItem("saxs recent", "{");
    expect(recent()).toEqual([]);
  });

  it("paths stay below the base folder", () => {
    expect(joined("a/b", "..")).toBe("a");
    expect(joined("", "..")).toBe("");
    expect(joined("./a", "c.tif")).toBe("a/c.tif");
  });
});

describe("the history", () => {
  const part = (from: number, to: number, count = to): Part => {
    const numbers = Array.from({ length: to - from }, (_, index) => from + index);
    return {
      finished: [],
      series: {
        R0: {
          count,
          time: numbers.map((n) => 1000 + n),
          file: numbers.map((n) => `image ${n}`),
          i0: numbers,
          i1: numbers.map((n) => 6 * n),
          i2: numbers.map((n) => (n === 3 ? null : 2 * n)),
        },
      },
    };
  };

  it("is put together from parts, and begins anew with another queue", () => {
    const integrals = new Integrals();
    expect(integrals.take(part(0, 5, 8), integrals.since)).toBe(false);
    expect(integrals.since).toBe(4);
    expect(integrals.take(part(4, 8), 4)).toBe(true);
    expect(integrals.series.get("R0")?.i0).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
    // Other images in the place of known ones.
    const other = part(7, 12);
    const moved = { ...other, series: { R0: { ...other.series.R0!, time: [9, 10, 11, 12, 13] } } };
    expect(integrals.take(moved, integrals.since)).toBe(false);
    expect([integrals.series.size, integrals.since]).toEqual([0, 0]);
    expect(integrals.take(part(0, 2), 0)).toBe(true);
    expect(integrals.take({ finished: [], series: {} }, 1)).toBe(true);
    expect(integrals.series.size).toBe(0);
  });

  it("knows the correlation length, and writes a table of a part", () => {
    const integrals = new Integrals();
    integrals.take(part(0, 6), 0);
    const series = integrals.series.get("R0")!;
    expect(correlationLength(series).slice(1, 3)).toEqual([3, 3]);
    const lines = csvOf(series, 3, 4).trimEnd().split("\n");
    expect(lines).toEqual([
      "time,time_s,file,I0,I1,I2,correlation_length_nm",
      "1970-01-01T00:16:42.000Z,1002.000,image 2,2,12,4,3",
      "1970-01-01T00:16:43.000Z,1003.000,image 3,3,18,,",
    ]);
  });

  it("counts images of the last 100 s", () => {
    const now = 5000;
    const { at: middles, counts, rate } = histogram([4899, 4901, 4999.5, 4999.9, 4991, 5000.2], now);
    expect([middles[0], middles.at(-1), counts.length]).toEqual([-99, -1, 50]);
    expect([counts[0], counts.at(-1), counts.reduce((a, b) => a + b)]).toEqual([1, 3, 5]);
    expect(rate).toBe(0.4);
  });
});

it("a symlog axis is linear three decades below the largest value", () => {
  expect(linearUpTo([3, -250, null, 12])).toBe(0.1);
  expect(linearUpTo([])).toBe(1);
});
