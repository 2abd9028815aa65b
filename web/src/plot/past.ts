// What a PV was, from the history of the facility: /hist of docs/history.md.

export interface Past {
  readonly pv: string;
  readonly unit: string;
  readonly labels: readonly string[];
  /** Seconds that each point stands for; 0: each is a sample. */
  readonly width: number;
  /** Seconds since 1970. The first may be older than what was asked for: the value that held. */
  readonly time: readonly number[];
  readonly low: readonly (number | null)[];
  readonly high: readonly (number | null)[];
  readonly mean: readonly (number | null)[];
  readonly last: readonly (number | null)[];
  /** 0 to 3, NO_ALARM to INVALID. */
  readonly severity: readonly number[];
  readonly connected: readonly boolean[];
}

/** Seconds since 1970; without `to` until now, and a negative `from` counts back from there. */
export interface Span {
  readonly from: number;
  readonly to?: number;
}

const MOST_POINTS = 4000;

export function historyUrl(path: string, pvs: readonly string[], span: Span, points?: number): string {
  const query = new URLSearchParams(pvs.map((pv) => ["pv", pv]));
  query.set("from", String(span.from));
  if (span.to !== undefined) query.set("to", String(span.to));
  if (points) query.set("points", String(Math.min(Math.max(Math.round(points), 1), MOST_POINTS)));
  return `${path}?${query.toString()}`;
}

/** Asks for one PV, so that one that is not recorded costs the others nothing. Throws with the server's reason. */
export async function readPast(pv: string, span: Span, points: number): Promise<Past> {
  const answer = await ask(historyUrl("hist", [pv], span, points));
  const { trends } = (await answer.json()) as { trends: readonly Past[] };
  if (!trends[0]) throw new Error(`the history says nothing of ${pv}`);
  return trends[0];
}

/** Names of all PVs that are recorded. */
export async function readNames(): Promise<readonly string[]> {
  return Object.keys((await (await ask("hist/pvs")).json()) as object);
}

async function ask(path: string): Promise<Response> {
  const answer = await fetch(new URL(path, document.baseURI), { cache: "no-cache" }).catch(() => undefined);
  if (!answer) throw new Error("no connection to the server");
  if (!answer.ok) throw new Error((await answer.text()).slice(0, 300) || `no history (${answer.status})`);
  return answer;
}

/** Times and values for a curve, older than `before`: extremes and the newest value, and a gap where nobody knew. */
export function curveOf(past: Past, before = Number.POSITIVE_INFINITY): { times: number[]; values: number[] } {
  const times: number[] = [];
  const values: number[] = [];
  const add = (time: number, value: number | null | undefined): void => {
    times.push(time);
    values.push(value ?? Number.NaN);
  };
  for (const [index, time] of past.time.entries()) {
    if (time >= before) break;
    const known = past.last[index] ?? past.low[index];
    if (past.width > 0 && typeof known === "number") {
      add(time, past.low[index]);
      add(time, past.high[index]);
      add(time, known);
      if (!past.connected[index]) add(time, Number.NaN);
    } else add(time, past.last[index]);
  }
  return { times, values };
}
