// Where the page of a CCD camera is: #/ccd/CCD1:?tab=quick-look

export const TABS = ["header", "telemetry", "quick-look"] as const;

export type TabName = (typeof TABS)[number];

export interface CcdQuery {
  /** Of the exposure's PVs, `CCD1:`; those of its tools begin with it. */
  readonly prefix: string;
  readonly tab: TabName;
}

/** undefined: the address is that of something else. */
export function parseCcd(hash: string): CcdQuery | undefined {
  const [path = "", query = ""] = hash.replace(/^#?\/?/, "").split("?", 2);
  const [place, prefix, ...more] = path.split("/").map(decodeURIComponent);
  if (place !== "ccd" || !prefix || more.length) return undefined;
  const wanted = new URLSearchParams(query).get("tab");
  return { prefix, tab: TABS.find((tab) => tab === wanted) ?? TABS[0] };
}

export function formatCcd({ prefix, tab }: CcdQuery): string {
  const place = `#/ccd/${encodeURIComponent(prefix).replaceAll("%3A", ":")}`;
  return tab === TABS[0] ? place : `${place}?tab=${tab}`;
}
