// The queue of the detector as this page sees it: its calibration, who replaced it, and what operators do with it.

import { make, setText } from "../dom";
import { messageOf } from "../faults";
import { formatPv, PLAIN } from "../format";
import type { Device } from "../device";
import { choose, lines } from "./dialog";
import type { Draft } from "./draft";
import { indented, save } from "./files";
import { asciiJson, type Json, same } from "./json";

export interface QueueEvents {
  /** The queue is another one, or there is none any more. */
  changed(): void;
  /** The operator wants its calibration here. */
  take(document: Json): void;
  /** Whether the draft may go to the device; says what is wrong otherwise. */
  check(): Promise<boolean>;
}

interface Told {
  readonly calibration?: Json;
  readonly masks?: readonly string[];
}

const TEXTS = { none: "No queue", synced: "Local calibration synced", modified: "Local calibration modified" } as const;

export class Queue {
  readonly element = make("section", "saxs-queue");
  private readonly state = make("strong", "saxs-state");
  private readonly counts = make("span", "saxs-counts");
  private readonly remark = make("p", "saxs-problem");
  private readonly bar = make("progress", "saxs-progress");
  private readonly differences = make("details", "saxs-changes");
  private readonly offer = make("div", "saxs-offer");
  private readonly start = this.button("Start queue", () => this.begin());
  private readonly again = this.button("Integrate all again", () => this.reintegrate());
  private readonly shut = this.button("Close", () => this.detector.call("CloseQueue"));
  private readonly end = this.button("Abort", () => this.abort());
  private readonly shown = new Map<string, string>();
  private started: number | undefined;
  /** The queue that this page is beginning is none of somebody else. */
  private isBeginning = false;
  private asked = 0;

  constructor(
    private readonly detector: Device,
    private readonly draft: Draft,
    private readonly events: QueueEvents,
  ) {
    this.remark.role = "alert";
    this.state.role = "status";
    this.offer.role = "alertdialog";
    this.bar.max = 100;
    this.bar.hidden = this.offer.hidden = this.differences.hidden = true;
    const buttons = make("div", "saxs-bar", this.start, this.again, this.shut, this.end, this.bar);
    this.element.append(
      make("p", "saxs-line", this.state, this.counts),
      this.differences,
      this.offer,
      buttons,
      this.remark,
    );
    for (const name of ["ImagesProcessed", "ImagesWaiting", "ImagesFailed", "ImageRate", "QueueFolder", "QueueClosed"])
      detector.watch(name, (pv) => {
        this.shown.set(name, pv.connected ? formatPv(pv, { ...PLAIN, units: true }) : "?");
        this.drawCounts();
      });
    detector.watch("QueueStarted", (pv) => {
      if (!pv.connected || pv.number === this.started) return;
      const isFirst = this.started === undefined;
      this.started = pv.number;
      if (!isFirst) void this.ask();
    });
    // An aborted queue has no folder any more.
    let had: boolean | undefined;
    detector.watch("QueueFolder", (pv) => {
      const has = pv.connected ? pv.value !== "" : had;
      if (had !== undefined && has !== had) void this.ask();
      had = has;
    });
    detector.watch("ReintegrateFolder:Status", (pv) => {
      this.bar.hidden = pv.text !== "RUNNING";
    });
    detector.watch("ReintegrateFolder:Progress", (pv) => {
      this.bar.value = Number.isFinite(pv.number) ? pv.number : 0;
      this.bar.title = `${this.bar.value.toFixed(0)} % of the images`;
    });
  }

  /** Asks which queue there is; what another client began is offered. */
  async ask(isFirst = false): Promise<void> {
    const mine = ++this.asked;
    let found: Told;
    try {
      found = await this.detector.ask<Told>("QueueCalibration");
    } catch (error) {
      if (mine === this.asked) this.say(error);
      return;
    }
    if (mine !== this.asked || this.detector.closed) return;
    const before = this.draft.queue;
    this.draft.queue = found.calibration;
    const isNew = !isFirst && !this.isBeginning && found.calibration !== undefined && !same(before, this.draft.queue);
    if (isNew && this.draft.state === "modified") this.offerOther(found);
    else if (this.draft.state !== "modified") this.offer.hidden = true;
    this.events.changed();
  }

  /** Shows how the draft stands beside the queue. */
  draw(): void {
    const { state, changes } = this.draft;
    const closed = this.shown.get("QueueClosed") === "On";
    const about = state === "none" ? "" : `Queue ${closed ? "closed" : "started"}. `;
    const count = changes.length ? `: ${changes.length} difference${changes.length === 1 ? "" : "s"}` : "";
    setText(this.state, `${about}${TEXTS[state]}${count}`);
    this.element.dataset.state = state;
    this.differences.hidden = changes.length === 0;
    const list = lines(changes, 40);
    this.differences.replaceChildren(make("summary", "", "What is different from the queue"), list);
    const mayWrite = this.detector.page.pvs.server.writable;
    this.start.disabled = !mayWrite;
    for (const button of [this.again, this.shut, this.end]) button.disabled = !mayWrite || state === "none";
  }

  private drawCounts(): void {
    const shown = (name: string): string => this.shown.get(name) ?? "?";
    const folder = shown("QueueFolder");
    setText(
      this.counts,
      `${shown("ImagesProcessed")} images done, ${shown("ImagesWaiting")} waiting, ${shown("ImagesFailed")} failed, ` +
        `${shown("ImageRate")}${folder && folder !== "?" ? `; ${folder}` : ""}`,
    );
    this.draw();
  }

  private button(text: string, work: () => Promise<unknown>): HTMLButtonElement {
    const button = make("button", "saxs-button", text);
    button.addEventListener("click", () => {
      setText(this.remark, "");
      button.ariaBusy = "true";
      work()
        .catch((error: unknown) => this.say(error))
        .finally(() => (button.ariaBusy = null));
    });
    return button;
  }

  private say(error: unknown): void {
    setText(this.remark, messageOf(error));
    this.detector.page.messages.add(messageOf(error), "refused");
  }

  // What operators do ------------------------------------------------------------------------------------------------

  private async begin(): Promise<void> {
    if (!(await this.events.check()))
      throw new Error("not sent: the calibration has errors, which stand at their keys");
    const { titleWarning, changes } = this.draft;
    const detail: (Node | string)[] = titleWarning ? [make("p", "saxs-warning", titleWarning)] : [];
    if (this.draft.queue !== undefined) {
      detail.push(make("p", "", "The queue that runs is aborted and replaced; images that wait in it are dropped."));
      if (changes.length) detail.push(lines(changes));
    }
    if (detail.length) {
      const question = this.draft.queue === undefined ? "Start the queue?" : "Replace the queue that runs?";
      const sure = await choose(question, detail, [
        { text: "Cancel", value: false },
        { text: "Start queue", value: true },
      ]);
      if (!sure) return;
    }
    this.isBeginning = true;
    try {
      await this.detector.call("NewQueue", { calibration: asciiJson(this.draft.sent) });
      await this.ask();
    } finally {
      this.isBeginning = false;
    }
    this.offer.hidden = true;
    await this.reintegrate();
  }

  private async reintegrate(): Promise<void> {
    const folder = this.shown.get("QueueFolder");
    const sure = await choose(
      "Integrate all images again?",
      [
        `All images${folder ? ` below ${folder}` : " of the queue's folder"} are done anew; otherwise only those that come from now on.`,
      ],
      [
        { text: "No", value: false },
        { text: "Integrate all", value: true },
      ],
    );
    if (sure) await this.detector.call("ReintegrateFolder");
  }

  private async abort(): Promise<void> {
    const sure = await choose(
      "Abort the queue?",
      ["Images that wait are dropped. What is written stays."],
      [
        { text: "Cancel", value: false },
        { text: "Abort the queue", value: true },
      ],
    );
    if (sure) await this.detector.call("AbortQueue");
  }

  /** Somebody else has begun a queue with a calibration that is not the one here. */
  private offerOther({ calibration, masks }: Told): void {
    const answers: [string, () => void][] = [
      ["Take its calibration", () => calibration !== undefined && this.events.take(calibration)],
      ["Keep mine", () => undefined],
      [
        "Save mine, then take its",
        () => {
          save(this.draft.name || "calibration.saxsconf", indented(this.draft.sent));
          if (calibration !== undefined) this.events.take(calibration);
        },
      ],
    ];
    const buttons = answers.map(([text, act]) => {
      const button = make("button", "saxs-button", text);
      button.addEventListener("click", () => {
        this.offer.hidden = true;
        act();
      });
      return button;
    });
    const files = masks?.length ? ` Its masks: ${masks.join(", ")}.` : "";
    this.offer.replaceChildren(
      make("p", "", `Another client has begun a queue with another calibration.${files}`),
      make("div", "saxs-bar", ...buttons),
    );
    this.offer.ariaLabel = "Another client has begun a queue";
    this.offer.hidden = false;
  }
}
