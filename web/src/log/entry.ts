// One entry of the log, as the server sends it.

export interface LogEntry {
  readonly id: string;
  /** s since 1970 */
  readonly time: number;
  readonly server: string;
  readonly level: string;
  readonly source: string;
  readonly text: string;
}

/** What of a message can be shown; the rest of it is left out. */
export function entriesOf(message: unknown): LogEntry[] {
  if (!Array.isArray(message)) return [];
  return message.flatMap((each: Record<string, unknown> | null) =>
    each && typeof each.time === "number"
      ? [
          {
            id: String(each.id),
            time: each.time,
            server: String(each.server),
            level: String(each.level),
            source: String(each.source),
            text: String(each.text),
          },
        ]
      : [],
  );
}
