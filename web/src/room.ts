// A light or a dark room: as the computer is set, or as it was chosen here.

const KEY = "room";
const CHOICES = ["auto", "light", "dark"] as const;

export type RoomChoice = (typeof CHOICES)[number];

export class Room {
  private readonly dark = matchMedia("(prefers-color-scheme: dark)");
  private readonly watchers = new Set<() => void>();
  choice: RoomChoice = "auto";

  constructor() {
    const kept = localStorage.getItem(KEY) as RoomChoice;
    this.choose(CHOICES.includes(kept) ? kept : "auto");
    this.dark.addEventListener("change", () => this.tell());
  }

  get isDark(): boolean {
    return this.choice === "auto" ? this.dark.matches : this.choice === "dark";
  }

  next(): void {
    this.choose(CHOICES[(CHOICES.indexOf(this.choice) + 1) % CHOICES.length] as RoomChoice);
  }

  /** Called when the light changes, for what is painted on canvases; the result ends it. */
  watch(watcher: () => void): () => void {
    this.watchers.add(watcher);
    return () => this.watchers.delete(watcher);
  }

  private choose(choice: RoomChoice): void {
    this.choice = choice;
    localStorage.setItem(KEY, choice);
    document.documentElement.style.colorScheme = choice === "auto" ? "light dark" : choice;
    this.tell();
  }

  private tell(): void {
    for (const watcher of this.watchers) watcher();
  }
}
