// Where trends are: #/trend?pv=CRYO1:TemperatureA&pv=CRYO1:State&span=3600, and &to=1795266000 in the past.

export interface TrendQuery {
  readonly pvs: readonly string[];
  /** s */
  readonly span: number;
  /** The right edge, s since 1970; undefined: it goes with the time. */
  readonly to: number | undefined;
}

export const SHORTEST = 1;
export const LONGEST = 400 * 86_400;
const USUAL = 600;

/** undefined: the address is that of a panel. */
export function parseTrend(hash: string): TrendQuery | undefined {
  const [path = "", query = ""] = hash.replace(/^#?\/?/, "").split("?", 2);
  if (path !== "trend") return undefined;
  const values = new URLSearchParams(query);
  const [span, to] = [Number(values.get("span") ?? USUAL), Number(values.get("to") ?? Number.NaN)];
  return {
    pvs: [...new Set(values.getAll("pv").filter(Boolean))],
    span: span > 0 ? bounded(span) : USUAL,
    to: Number.isFinite(to) ? to : undefined,
  };
}

export function formatTrend({ pvs, span, to }: TrendQuery): string {
  const query = new URLSearchParams(pvs.map((pv) => ["pv", pv]));
  query.set("span", String(Number(span.toPrecision(6))));
  if (to !== undefined) query.set("to", to.toFixed(3));
  return `#/trend?${query.toString()}`;
}

/** Moved by a part of its span, to the right where positive; what reaches `now` goes with the time again. */
export function moved(query: TrendQuery, part: number, now: number): TrendQuery {
  const to = (query.to ?? now) + part * query.span;
  return { ...query, to: to >= now ? undefined : Math.max(to, query.span) };
}

/** A span of another length; the time at `at` (0: left edge, 1: right edge) stays, or the right edge while it goes with the time. */
export function zoomed(query: TrendQuery, factor: number, at: number, now: number): TrendQuery {
  const span = bounded(query.span * factor);
  if (query.to === undefined) return { ...query, span };
  return moved({ ...query, span, to: query.to + (span - query.span) * (1 - at) }, 0, now);
}

function bounded(span: number): number {
  return Math.min(Math.max(span, SHORTEST), LONGEST);
}
