// The list of alarms, kept up to date for the badge in the head and for the page of alarms.

import { messageOf } from "../faults";
import type { Pv } from "../pv";
import type { Ack, Pvs, WriteValue } from "../pvs";
import { type Alarm, parseTable, type Step } from "./alarm";

export class AlarmList {
  /** undefined: not known, `problem` says why; or there are no alarms here, and `problem` is empty. */
  table: readonly Alarm[] | undefined;
  problem = "";
  /** Counts alarms that were raised or got worse. */
  news: number | undefined;
  private readonly watchers = new Set<() => void>();
  private prefix = "";

  constructor(private readonly pvs: Pvs) {
    pvs.watch(() => this.follow());
  }

  get exists(): boolean {
    return this.prefix !== "";
  }

  /** Called at every change; the result ends it. */
  watch(watcher: () => void): () => void {
    this.watchers.add(watcher);
    return () => this.watchers.delete(watcher);
  }

  /** Calls a command of the alarm device. */
  call(command: string, values: Readonly<Record<string, WriteValue>>): Promise<Ack> {
    return this.pvs.call(this.prefix + command, values);
  }

  private follow(): void {
    const prefix = this.pvs.server.alarms;
    if (!prefix || this.prefix) return;
    this.prefix = prefix;
    this.pvs.subscribe(`${prefix}Table`, (pv) => this.take(pv));
    this.pvs.subscribe(`${prefix}News`, (pv) => {
      if (!pv.connected) return;
      this.news = pv.number;
      this.tell();
    });
  }

  private take(pv: Pv): void {
    try {
      this.table = pv.connected && Array.isArray(pv.value) ? parseTable(pv.value as readonly string[]) : undefined;
      this.problem = this.table ? "" : pv.connected ? "the alarm device has not listed them yet" : pv.reason;
    } catch (error) {
      this.table = undefined;
      this.problem = messageOf(error);
    }
    this.tell();
  }

  private tell(): void {
    for (const watcher of [...this.watchers]) watcher();
  }
}

/** What happened to an alarm, or to all where the name is empty, newest first. Throws with the server's reason. */
export async function readSteps(alarm: string, hours: number): Promise<readonly Step[]> {
  const query = new URLSearchParams({ alarm, hours: String(hours) });
  const answer = await fetch(new URL(`alarms/history?${query.toString()}`, document.baseURI), {
    cache: "no-cache",
  }).catch(() => undefined);
  if (!answer) throw new Error("no connection to the server");
  if (!answer.ok) throw new Error((await answer.text()).slice(0, 300));
  return ((await answer.json()) as { steps: readonly Step[] }).steps;
}
