// One redraw per animation frame, however many values came in between.

import { report } from "./faults";

const HIDDEN_DELAY = 500; // ms

export class Frames {
  private readonly tasks = new Set<() => void>();
  private asked = false;

  /** Runs `task` once in the next frame, also when it was requested several times. */
  request(task: () => void): void {
    this.tasks.add(task);
    if (this.asked) return;
    this.asked = true;
    requestAnimationFrame(() => this.run());
  }

  /** Runs `task` once when what was requested so far is drawn; in a hidden page, where nothing is drawn, after a while. */
  after(task: () => void): void {
    let done = false;
    const once = (): void => {
      if (done) return;
      done = true;
      task();
    };
    requestAnimationFrame(once);
    setTimeout(once, HIDDEN_DELAY);
  }

  cancel(task: () => void): void {
    this.tasks.delete(task);
  }

  private run(): void {
    this.asked = false;
    const tasks = [...this.tasks];
    this.tasks.clear();
    for (const task of tasks) {
      try {
        task();
      } catch (error) {
        report("frame", error);
      }
    }
  }
}
