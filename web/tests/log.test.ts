// @vitest-environment jsdom
import { describe, expect, it } from "vitest";
import { entriesOf } from "../src/log/entry";
import { formatLog, parseLog } from "../src/log/query";
import { LogTable, MOST_ROWS } from "../src/log/table";

const entry = (n: number) => ({ id: `a@${n}`, time: n, server: "a", level: "INFO", source: "b", text: `line ${n}` });

describe("the address of the log", () => {
  it("is read back as it was made", () => {
    const query = { level: "ERROR", server: "sim.*", text: "12 K & more", who: "anna", since: "1 h", writes: true };
    expect(parseLog(formatLog(query))).toEqual(query);
  });

  it("is no panel's, and bears nonsense", () => {
    expect(parseLog("#/overview?level=ERROR")).toBeUndefined();
    expect(parseLog("#/log?level=LOUD&since=noon&writes=x")).toEqual(parseLog("#/log"));
    expect(formatLog(parseLog("#/log")!)).toBe("#/log");
  });
});

describe("entries of the log", () => {
  it("are what can be shown of a message", () => {
    expect(entriesOf([entry(3), null, {}, { time: "x" }, 7])).toEqual([entry(3)]);
    expect(entriesOf("none")).toEqual([]);
  });

  it("are text in a bounded table, the newest on top", () => {
    const table = new LogTable();
    table.add(Array.from({ length: MOST_ROWS + 30 }, (_, n) => entry(n)));
    table.add([{ ...entry(5000), text: "<b>last</b>" }]);
    expect(table.count).toBe(MOST_ROWS);
    expect(table.element.querySelector(".log-first")?.textContent).toBe("<b>last</b>");
    expect(table.element.querySelector("b")).toBeNull();
  });
});
