// Where the log is: #/log?level=WARNING&server=cryocon&text=link&who=anna&writes=1&since=1+h.

import { socketUrl } from "../address";

export const LEVELS = ["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"] as const;
export const SPANS = ["10 min", "1 h", "24 h", "7 d"] as const;

/** "" lets everything pass. */
export interface LogQuery {
  readonly level: string;
  readonly server: string;
  readonly text: string;
  readonly who: string;
  readonly since: string;
  readonly writes: boolean;
}

/** undefined: the address is that of something else. */
export function parseLog(hash: string): LogQuery | undefined {
  const [path = "", query = ""] = hash.replace(/^#?\/?/, "").split("?", 2);
  if (path !== "log") return undefined;
  const values = new URLSearchParams(query);
  const oneOf = (name: string, known: readonly string[]): string =>
    known.find((each) => each === values.get(name)) ?? "";
  return {
    level: oneOf("level", LEVELS),
    server: values.get("server") ?? "",
    text: values.get("text") ?? "",
    who: values.get("who") ?? "",
    since: oneOf("since", SPANS),
    writes: values.get("writes") === "1",
  };
}

export function formatLog(query: LogQuery): string {
  const values = valuesOf(query).toString();
  return `#/log${values ? `?${values}` : ""}`;
}

export function liveUrl(query: LogQuery, count: number): string {
  const values = valuesOf(query);
  values.set("count", String(count));
  return socketUrl(`log/live?${values.toString()}`);
}

function valuesOf(query: LogQuery): URLSearchParams {
  const values = new URLSearchParams();
  for (const key of ["level", "server", "text", "who", "since"] as const) if (query[key]) values.set(key, query[key]);
  if (query.writes) values.set("writes", "1");
  return values;
}
