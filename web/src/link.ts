// A web-socket that connects again by itself, and that knows when the other end has gone silent.

import { report } from "./faults";

export type Message = Readonly<Record<string, unknown>>;

export interface LinkEvents {
  opened(): void;
  message(message: Message): void;
  binary?(data: ArrayBuffer): void;
  closed(reason: string): void;
}

const FIRST_RETRY = 250;
const LAST_RETRY = 5000;
const QUIET = 2000;
const DEAD = 6000;

export class Link {
  private socket: WebSocket | undefined;
  private retry = FIRST_RETRY;
  private heard = 0;
  private echoes = 0;
  private isClosed = false;
  private readonly watching: ReturnType<typeof setInterval>;

  constructor(
    private readonly url: string,
    private readonly events: LinkEvents,
  ) {
    this.watching = setInterval(() => this.watch(), 1000);
  }

  get isOpen(): boolean {
    return this.socket?.readyState === WebSocket.OPEN;
  }

  connect(): void {
    if (this.isClosed) return;
    const socket = new WebSocket(this.url);
    socket.binaryType = "arraybuffer";
    this.socket = socket;
    this.heard = performance.now();
    socket.onopen = () => {
      this.retry = FIRST_RETRY;
      this.heard = performance.now();
      this.events.opened();
    };
    socket.onmessage = (event) => this.take(event.data);
    socket.onclose = (event) => this.lost(socket, event.reason || "no connection to the server");
  }

  /** For good; nothing is told of it. */
  close(): void {
    this.isClosed = true;
    clearInterval(this.watching);
    if (this.socket) leave(this.socket);
    this.socket = undefined;
  }

  send(message: Message): boolean {
    if (!this.isOpen) return false;
    this.socket?.send(JSON.stringify(message));
    return true;
  }

  private take(data: unknown): void {
    this.heard = performance.now();
    try {
      if (data instanceof ArrayBuffer) this.events.binary?.(data);
      else {
        const message = JSON.parse(String(data)) as Message;
        if (message.type !== "echo") this.events.message(message);
      }
    } catch (error) {
      report(`message from ${this.url}`, error);
    }
  }

  private lost(socket: WebSocket, reason: string): void {
    if (socket !== this.socket) return;
    this.socket = undefined;
    this.events.closed(reason);
    setTimeout(() => this.connect(), this.retry * (0.75 + Math.random() / 2));
    this.retry = Math.min(this.retry * 2, LAST_RETRY);
  }

  private watch(): void {
    const socket = this.socket;
    if (!socket) return;
    const quiet = performance.now() - this.heard;
    if (quiet > DEAD) {
      // A socket whose peer is gone may take minutes to close: it is left, not waited for.
      leave(socket);
      this.lost(socket, "the server is silent");
    } else if (quiet > QUIET) this.send({ type: "echo", n: ++this.echoes });
  }
}

function leave(socket: WebSocket): void {
  socket.onopen = socket.onmessage = socket.onclose = null;
  socket.close();
}
