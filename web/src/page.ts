// What all panels of the page share.

import { socketUrl } from "./address";
import { report } from "./faults";
import { AlarmList } from "./alarms/alarm_list";
import { Frames } from "./frames";
import { ImageStreams } from "./image/streams";
import { Messages } from "./messages";
import { Pvs } from "./pvs";
import { Room } from "./room";
import { SUBSET } from "./subset";
import { Tooltip } from "./tooltip";

export class Page {
  readonly frames = new Frames();
  readonly messages = new Messages();
  readonly tooltip = new Tooltip();
  readonly room = new Room();
  readonly pvs = new Pvs(socketUrl("pvws/pv"), this.frames, (message) => this.messages.add(message, "server"));
  readonly alarms = new AlarmList(this.pvs);
  readonly images = new ImageStreams(socketUrl("pvws/image"), this.pvs);
  private readonly tickers = new Set<() => void>();

  constructor() {
    setInterval(() => this.tick(), 1000);
  }

  /** Calls `ticker` every second until the result is called. */
  everySecond(ticker: () => void): () => void {
    this.tickers.add(ticker);
    return () => this.tickers.delete(ticker);
  }

  /** Whether widgets of this type write. */
  writes(type: string): boolean {
    return SUBSET.widgets[type]?.writes === true;
  }

  private tick(): void {
    for (const ticker of [...this.tickers]) {
      try {
        ticker();
      } catch (error) {
        report("clock", error);
      }
    }
  }
}
