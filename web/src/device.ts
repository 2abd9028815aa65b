// The device of an instrument's page: its PVs and its commands.

import type { Page } from "./page";
import type { Pv } from "./pv";
import type { WriteValue } from "./pvs";

export class Device {
  private readonly drops = new Set<() => void>();
  private isClosed = false;

  constructor(
    readonly page: Page,
    readonly prefix: string,
  ) {}

  /** `name` without the prefix. */
  watch(name: string, listener: (pv: Pv) => void): void {
    this.drops.add(this.page.pvs.subscribe(this.prefix + name, listener));
  }

  everySecond(ticker: () => void): void {
    this.drops.add(this.page.everySecond(ticker));
  }

  onClose(closer: () => void): void {
    this.drops.add(closer);
  }

  close(): void {
    this.isClosed = true;
    for (const drop of this.drops) drop();
    this.drops.clear();
  }

  /** The command's result; throws what the server says when it refuses. An operation is answered at its end. */
  async call(command: string, values: Readonly<Record<string, WriteValue>> = {}): Promise<unknown> {
    const { ok, message, result } = await this.page.pvs.call(this.prefix + command, values);
    if (!ok) throw new Error(message);
    return result;
  }

  /** As `call`, for results that are JSON. */
  async ask<T>(command: string, values: Readonly<Record<string, WriteValue>> = {}): Promise<T> {
    const result = await this.call(command, values);
    return (typeof result === "string" ? JSON.parse(result) : result) as T;
  }

  /** Whether the page of this device was left meanwhile. */
  get closed(): boolean {
    return this.isClosed;
  }
}
