// Where the panel of a SAXS detector is: #/saxs/SAXS1:?tab=plots; a calibration from a command line comes along once.

import { parseJson, type Json } from "./json";

export const TABS = ["calibration", "plots", "history", "consolidate"] as const;

export type TabName = (typeof TABS)[number];

export interface SaxsQuery {
  /** Of the detector's PVs, `SAXS1:`. */
  readonly prefix: string;
  readonly tab: TabName;
  /** A calibration to begin with, and the name of its file. */
  readonly given: { readonly name: string; readonly document: Json } | undefined;
}

/** undefined: the address is that of something else. */
export function parseSaxs(hash: string): SaxsQuery | undefined {
  const [path = "", query = ""] = hash.replace(/^#?\/?/, "").split("?", 2);
  const [place, prefix, ...more] = path.split("/").map(decodeURIComponent);
  if (place !== "saxs" || !prefix || more.length) return undefined;
  const values = new URLSearchParams(query);
  const text = values.get("calibration");
  return {
    prefix,
    tab: TABS.find((tab) => tab === values.get("tab")) ?? TABS[0],
    given: text ? { name: values.get("file") ?? "", document: decode(text) } : undefined,
  };
}

/** Without the calibration that came along: it is loaded once. */
export function formatSaxs({ prefix, tab }: Pick<SaxsQuery, "prefix" | "tab">): string {
  const place = `#/saxs/${encodeURIComponent(prefix).replaceAll("%3A", ":")}`;
  return tab === TABS[0] ? place : `${place}?tab=${tab}`;
}

/** JSON in UTF-8 as base64 that needs no escaping in addresses. */
function decode(text: string): Json {
  const bytes = atob(text.replaceAll("-", "+").replaceAll("_", "/"));
  return parseJson(new TextDecoder().decode(Uint8Array.from(bytes, (each) => each.charCodeAt(0))));
}
