// @vitest-environment jsdom
import { describe, expect, it } from "vitest";
import { formatAddress, parseAddress, resolveFile, webUrl } from "../src/address";

describe("an address", () => {
  it("names a panel and its macros", () => {
    expect(parseAddress("#/cryo/loop?N=1&P=CRYO%201")).toEqual({
      file: "cryo/loop.bob",
      macros: { N: "1", P: "CRYO 1" },
    });
    expect(parseAddress("")).toEqual({ file: "overview.bob", macros: {} });
  });

  it("is read back as it was made", () => {
    const address = { file: "gen/cryo cön.bob", macros: { P: "A&B=C", N: "$(X)" } };
    expect(parseAddress(formatAddress(address))).toEqual(address);
  });
});

describe("a file of a panel", () => {
  it("is looked for beside the panel that names it", () => {
    expect(resolveFile("gen/loop.bob", "overview.bob")).toBe("gen/loop.bob");
    expect(resolveFile("../pic/./a.svg", "gen/loop.bob")).toBe("pic/a.svg");
  });

  it.each(["../../etc/passwd", "/etc/passwd", "http://example.org/a.bob", "javascript:alert(1)", "..\\a.bob", ""])(
    "%j is refused",
    (file) => {
      expect(() => resolveFile(file, "gen/loop.bob")).toThrow();
    },
  );
});

describe("a web page", () => {
  it("is http, https or relative, and nothing else", () => {
    expect(webUrl("https://example.org/a b")).toBe("https://example.org/a%20b");
    expect(webUrl("manual.html")).toMatch(/^http:.*\/manual\.html$/);
    for (const url of ["javascript:alert(1)", "data:text/html,x", "file:///etc/passwd"])
      expect(() => webUrl(url)).toThrow(/not allowed/);
  });
});
