// All PVs of the page over one socket: each name is subscribed once, however many widgets show it.

import { report } from "./faults";
import type { Frames } from "./frames";
import { Link, type Message } from "./link";
import { askLogin, personOf, type Person } from "./login";
import { Pv, type Update } from "./pv";

export type PvListener = (pv: Pv) => void;
export type WriteValue = number | string | readonly number[] | readonly string[];

export interface Ack {
  readonly ok: boolean;
  readonly message: string;
  /** What a called command returned. */
  readonly result?: unknown;
}

export interface Server {
  connected: boolean;
  reason: string;
  since: number;
  facility: string;
  version: string;
  /** Prefix of the alarm device's PVs; empty without one. */
  alarms: string;
  token: string;
  writable: boolean;
  /** Who is logged in; undefined where nobody has to. The name is "" for who has not. */
  person: Person | undefined;
  /** Server time minus the time of this computer, s. */
  clockOffset: number;
}

interface Entry {
  readonly pv: Pv;
  readonly listeners: Set<PvListener>;
  redraw: () => void;
}

// A name that is dropped and wanted again at once, as when one panel follows another, is not subscribed anew.
const LINGER = 1000;
// Names of a panel come one by one; they are sent together.
const GATHER = 0;

export class Pvs {
  readonly server: Server = {
    connected: false,
    reason: "connecting",
    since: Date.now(),
    facility: "",
    version: "",
    alarms: "",
    token: "",
    writable: true,
    person: undefined,
    clockOffset: 0,
  };
  private readonly entries = new Map<string, Entry>();
  private readonly watchers = new Set<() => void>();
  private readonly waiting = new Map<number, (ack: Ack) => void>();
  private readonly link: Link;
  private wanted: string[] = [];
  private writes = 0;
  private acknowledges = false;

  constructor(
    url: string,
    private readonly frames: Frames,
    private readonly complain: (message: string) => void,
  ) {
    this.link = new Link(url, {
      opened: () => this.opened(),
      message: (message) => this.take(message),
      closed: (reason) => this.closed(reason),
    });
  }

  connect(): void {
    this.link.connect();
  }

  /** Called when the server comes, goes, or says who it is; until the result is called. */
  watch(watcher: () => void): () => void {
    this.watchers.add(watcher);
    return () => this.watchers.delete(watcher);
  }

  /** The server's time, s since 1970. */
  now(): number {
    return Date.now() / 1000 + this.server.clockOffset;
  }

  subscribe(name: string, listener: PvListener): () => void {
    const entry = this.entries.get(name) ?? this.add(name);
    entry.listeners.add(listener);
    this.frames.request(entry.redraw);
    return () => {
      entry.listeners.delete(listener);
      if (entry.listeners.size === 0) setTimeout(() => this.drop(entry), LINGER);
    };
  }

  /** `confirmed`: the operator was asked, and said yes. */
  write(pv: Pv, value: WriteValue, confirmed = false): Promise<Ack> {
    return this.request({ type: "write", pv: pv.name, value, ...(confirmed ? { confirmed } : {}) });
  }

  /** Calls a command with all its arguments at once. */
  call(command: string, values: Readonly<Record<string, WriteValue>>): Promise<Ack> {
    return this.request({ type: "call", pv: command, arguments: values });
  }

  private request(message: Message): Promise<Ack> {
    const id = ++this.writes;
    if (!this.link.send({ ...message, id, token: this.server.token }))
      return Promise.resolve({ ok: false, message: "not sent: no connection to the server" });
    if (!this.acknowledges) return Promise.resolve({ ok: true, message: "sent" });
    return new Promise((resolve) => this.waiting.set(id, resolve));
  }

  private add(name: string): Entry {
    const pv = new Pv(name, Date.now());
    if (!this.link.isOpen) pv.disconnect("no connection to the server", Date.now());
    const entry: Entry = { pv, listeners: new Set(), redraw: () => undefined };
    entry.redraw = () => {
      for (const listener of [...entry.listeners]) listener(pv);
    };
    this.entries.set(name, entry);
    if (this.wanted.push(name) === 1) setTimeout(() => this.askWanted(), GATHER);
    return entry;
  }

  private drop(entry: Entry): void {
    if (entry.listeners.size || this.entries.get(entry.pv.name) !== entry) return;
    this.entries.delete(entry.pv.name);
    this.link.send({ type: "clear", pvs: [entry.pv.name] });
  }

  private askWanted(): void {
    const pvs = this.wanted.filter((name) => this.entries.has(name));
    this.wanted = [];
    if (pvs.length) this.link.send({ type: "subscribe", pvs });
  }

  private opened(): void {
    this.server.connected = true;
    this.server.since = Date.now();
    this.acknowledges = false;
    this.link.send({ type: "hello", protocol: 1, batch: true, credit: true });
    for (const { pv, redraw } of this.entries.values()) {
      pv.disconnect("not connected yet", Date.now());
      this.frames.request(redraw);
    }
    this.wanted = [];
    if (this.entries.size) this.link.send({ type: "subscribe", pvs: [...this.entries.keys()] });
    this.tell();
  }

  private closed(reason: string): void {
    if (this.server.connected) this.server.since = Date.now();
    this.server.connected = false;
    this.server.reason = reason;
    for (const { pv, redraw } of this.entries.values()) {
      pv.disconnect("no connection to the server", Date.now());
      this.frames.request(redraw);
    }
    for (const resolve of this.waiting.values())
      resolve({ ok: false, message: "the connection was lost: the result is unknown" });
    this.waiting.clear();
    void askLogin();
    this.tell();
  }

  private take(message: Message): void {
    switch (message.type) {
      case "update":
        return this.update(message);
      case "updates":
        for (const update of message.updates as Update[]) this.update(update);
        // The next ones are sent when these are on the screen: a slow page is never behind, it only shows less often.
        return this.frames.after(() => this.link.send({ type: "credit" }));
      case "hello":
        return this.hello(message);
      case "ack": {
        const resolve = this.waiting.get(Number(message.id));
        this.waiting.delete(Number(message.id));
        return resolve?.({ ok: message.ok === true, message: String(message.message ?? ""), result: message.result });
      }
      case "error":
        return this.complain(String(message.message ?? "the server reports an error"));
    }
  }

  private update(update: Update): void {
    const entry = this.entries.get(String(update.pv));
    if (!entry) return;
    try {
      entry.pv.merge(update, Date.now());
    } catch (error) {
      report(`update of ${entry.pv.name}`, error);
    }
    this.frames.request(entry.redraw);
  }

  private hello(message: Message): void {
    this.acknowledges = true;
    this.server.facility = String(message.facility ?? "");
    this.server.version = String(message.version ?? "");
    this.server.alarms = String(message.alarms ?? "");
    this.server.token = String(message.token ?? "");
    this.server.writable = message.writable !== false;
    this.server.person = personOf(message.person);
    if (typeof message.time === "number") this.server.clockOffset = message.time - Date.now() / 1000;
    for (const { redraw } of this.entries.values()) this.frames.request(redraw);
    this.tell();
  }

  private tell(): void {
    for (const watcher of this.watchers) watcher();
  }
}
