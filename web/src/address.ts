// Where panels are: #/overview?N=1 is the file opi/overview.bob with the macro N.

import type { Macros } from "./macros";

export interface Address {
  /** Path below opi/, with the ending .bob. */
  readonly file: string;
  readonly macros: Macros;
}

const HOME = "overview.bob";

export function parseAddress(hash: string): Address {
  const [path = "", query = ""] = hash.replace(/^#?\/?/, "").split("?", 2);
  const name = decodeURIComponent(path);
  const file = name === "" ? HOME : name.endsWith(".bob") ? name : `${name}.bob`;
  return { file: resolveFile(file, ""), macros: Object.fromEntries(new URLSearchParams(query)) };
}

export function formatAddress({ file, macros }: Address): string {
  const path = file
    .replace(/\.bob$/, "")
    .split("/")
    .map(encodeURIComponent)
    .join("/");
  const query = new URLSearchParams(macros as Record<string, string>).toString();
  return `#/${path}${query ? `?${query}` : ""}`;
}

/** The path below opi/ of a file that the panel `from` names; it cannot leave opi/. */
export function resolveFile(file: string, from: string): string {
  if (!file) throw new Error("no file is given");
  if (/^[a-z][\w+.-]*:|^\/|\\/i.test(file)) throw new Error(`"${file}" is not a file beside the panel`);
  const parts = from.split("/").slice(0, -1);
  for (const part of file.split("/")) {
    if (part === "..") {
      if (parts.pop() === undefined) throw new Error(`"${file}" is outside of the folder of panels`);
    } else if (part !== "." && part !== "") parts.push(part);
  }
  if (!parts.length) throw new Error(`"${file}" is no file`);
  return parts.join("/");
}

/** The address of a file below opi/. */
export function fileUrl(path: string): string {
  return new URL(`opi/${path.split("/").map(encodeURIComponent).join("/")}`, document.baseURI).href;
}

/** Web pages: http, https, or relative to this one. Throws for everything else (javascript:, data:, file:). */
export function webUrl(url: string): string {
  const resolved = new URL(url, document.baseURI);
  if (!["http:", "https:"].includes(resolved.protocol))
    throw new Error(`links to ${resolved.protocol} are not allowed`);
  return resolved.href;
}

/** The address of a socket beside this page. */
export function socketUrl(path: string): string {
  const url = new URL(path, document.baseURI);
  url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
  url.hash = "";
  return url.href;
}
