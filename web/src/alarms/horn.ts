// Two tones for a new alarm, and again until somebody acknowledges it or silences the horn.

const KEY = "horn";
const AGAIN = 8000; // ms
const TONES = [880, 660]; // Hz
const TONE = 0.25; // s
const LOUDNESS = 0.2;

export class Horn {
  isOn = localStorage.getItem(KEY) === "on";
  private context: AudioContext | undefined;
  private heard: number | undefined;
  private isSilenced = true;
  private timer: ReturnType<typeof setInterval> | undefined;

  constructor(private readonly changed: () => void) {}

  /** Browsers play nothing until the page was clicked once. */
  get isBlocked(): boolean {
    return this.isOn && this.context?.state !== "running";
  }

  get isSounding(): boolean {
    return this.timer !== undefined;
  }

  turn(on: boolean): void {
    this.isOn = on;
    localStorage.setItem(KEY, on ? "on" : "off");
    if (on) {
      this.context ??= new AudioContext();
      void this.context.resume().then(this.changed);
    } else this.stop();
    this.changed();
  }

  /** `news` counts alarms; `pending`: nobody has acknowledged all of them. */
  hear(news: number | undefined, pending: boolean): void {
    if (news !== undefined) {
      if (this.heard !== undefined && news > this.heard) this.isSilenced = false;
      this.heard = news;
    }
    if (!pending || this.isSilenced || !this.isOn) return this.stop();
    if (this.timer) return;
    this.sound();
    this.timer = setInterval(() => this.sound(), AGAIN);
  }

  /** Until the next alarm. */
  silence(): void {
    this.isSilenced = true;
    this.stop();
    this.changed();
  }

  private stop(): void {
    clearInterval(this.timer);
    this.timer = undefined;
  }

  private sound(): void {
    this.context ??= new AudioContext();
    const { context } = this;
    if (context.state !== "running") {
      void context.resume().then(this.changed);
      return;
    }
    for (const [index, tone] of TONES.entries()) {
      const oscillator = new OscillatorNode(context, { frequency: tone });
      const gain = new GainNode(context, { gain: LOUDNESS });
      oscillator.connect(gain).connect(context.destination);
      oscillator.start(context.currentTime + index * TONE);
      oscillator.stop(context.currentTime + (index + 1) * TONE);
    }
  }
}
