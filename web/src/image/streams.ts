// All images of the page over one socket. A view is one image widget.

import { report } from "../faults";
import { Link, type Message } from "../link";
import type { Pvs } from "../pvs";
import { decodeFrame, type Frame } from "./frame";

export interface Rectangle {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

export interface Wanted extends Partial<Rectangle> {
  readonly canvas_width: number;
  readonly canvas_height: number;
  readonly reduce: "max" | "mean";
}

export interface ViewEvents {
  frame(frame: Frame): void;
  state(message: Message): void;
  lost(reason: string): void;
}

interface Pending {
  readonly resolve: (message: Message) => void;
  readonly reject: (error: Error) => void;
}

export class View {
  wanted: Wanted | undefined;
  private readonly pending = new Map<number, Pending>();

  constructor(
    readonly number: number,
    readonly pv: string,
    readonly events: ViewEvents,
    private readonly streams: ImageStreams,
  ) {}

  /** Which part of the image is on the screen. */
  want(wanted: Wanted): void {
    if (JSON.stringify(wanted) === JSON.stringify(this.wanted)) return;
    const begins = !this.wanted;
    this.wanted = wanted;
    if (begins) this.streams.begin(this);
    else this.streams.open(this);
  }

  /** One more frame may come. */
  credit(): void {
    this.streams.send({ type: "credit", view: this.number });
  }

  probe(x: number, y: number): Promise<Message> {
    return this.ask({ type: "probe", x, y });
  }

  statistics(rectangle: Rectangle, bins: number): Promise<Message> {
    return this.ask({ type: "statistics", ...rectangle, bins });
  }

  profile(x1: number, y1: number, x2: number, y2: number): Promise<Message> {
    return this.ask({ type: "profile", x1, y1, x2, y2 });
  }

  close(): void {
    this.streams.close(this);
    this.fail(new Error("the image is closed"));
  }

  answer(message: Message): void {
    const id = Number(message.id);
    const pending = this.pending.get(id);
    this.pending.delete(id);
    if (message.type !== "error") pending?.resolve(message);
    else if (pending) pending.reject(new Error(String(message.message)));
    else this.events.lost(String(message.message));
  }

  fail(error: Error): void {
    for (const { reject } of this.pending.values()) reject(error);
    this.pending.clear();
  }

  private ask(message: Message): Promise<Message> {
    const id = this.streams.nextId();
    if (!this.streams.send({ ...message, view: this.number, id }))
      return Promise.reject(new Error("no connection to the server"));
    return new Promise((resolve, reject) => this.pending.set(id, { resolve, reject }));
  }
}

export class ImageStreams {
  private readonly views = new Map<number, View>();
  private link: Link | undefined;
  private viewsMade = 0;
  private ids = 0;

  constructor(
    private readonly url: string,
    private readonly pvs: Pvs,
  ) {
    pvs.watch(() => this.connect());
  }

  /** A view of the image `pv`; nothing comes before it says what it wants. */
  view(pv: string, events: ViewEvents): View {
    const view = new View(++this.viewsMade % 65536, pv, events, this);
    this.views.set(view.number, view);
    this.connect();
    return view;
  }

  nextId(): number {
    return ++this.ids;
  }

  send(message: Message): boolean {
    return this.link?.send(message) ?? false;
  }

  open(view: View): void {
    if (view.wanted) this.send({ type: "view", view: view.number, pv: view.pv, ...view.wanted });
  }

  /** Opens a view with a second credit: the server makes the next frame while the page paints one. */
  begin(view: View): void {
    this.open(view);
    if (view.wanted) view.credit();
  }

  close(view: View): void {
    this.views.delete(view.number);
    this.send({ type: "close", view: view.number });
  }

  // Most panels have no image: the socket is opened for the first one, when the PV socket has said which session this is.
  private connect(): void {
    if (this.link || !this.views.size || !this.pvs.server.token) return;
    this.link = new Link(this.url, {
      opened: () => {
        this.send({ type: "hello", protocol: 1, token: this.pvs.server.token });
        for (const view of this.views.values()) this.begin(view);
      },
      message: (message) => this.take(message),
      binary: (data) => this.takeFrame(data),
      closed: (reason) => {
        for (const view of this.views.values()) {
          view.fail(new Error(reason));
          view.events.lost(reason);
        }
      },
    });
    this.link.connect();
  }

  private take(message: Message): void {
    const view = this.views.get(Number(message.view));
    if (!view) return;
    if (message.type === "state") view.events.state(message);
    else view.answer(message);
  }

  private takeFrame(data: ArrayBuffer): void {
    const frame = decodeFrame(data);
    try {
      this.views.get(frame.view)?.events.frame(frame);
    } catch (error) {
      report("frame", error);
    }
  }
}
