// What is in the folders of the detector: to choose a file, or a folder.

import { make, setText } from "../dom";
import { messageOf } from "../faults";
import type { Device } from "../device";

interface Listing {
  readonly folder: string;
  readonly entries: readonly { readonly name: string; readonly is_folder: boolean }[];
}

export interface FolderEvents {
  /** A file, by its path below the base folder. */
  file?(path: string): void;
  /** Another folder is shown. */
  folder?(path: string): void;
}

/** `a/b/..` is `a`. */
export function joined(folder: string, name: string): string {
  const parts = folder.split("/").filter((part) => part && part !== ".");
  if (name === "..") parts.pop();
  else if (name && name !== ".") parts.push(...name.split("/").filter(Boolean));
  return parts.join("/");
}

export class FolderBrowser {
  readonly element = make("div", "saxs-folder");
  private readonly place = make("p", "saxs-place");
  private readonly list = make("ul", "saxs-entries");
  private readonly remark = make("p", "saxs-problem");
  private asked = 0;

  constructor(
    private readonly detector: Device,
    private readonly events: FolderEvents,
    private readonly wanted: (name: string) => boolean = () => true,
  ) {
    this.remark.role = "alert";
    this.element.append(this.place, this.list, this.remark);
  }

  async open(folder: string): Promise<void> {
    const mine = ++this.asked;
    try {
      const { entries } = await this.detector.ask<Listing>("ListFolder", { path: folder });
      if (mine !== this.asked) return;
      setText(this.remark, "");
      setText(this.place, folder ? `base folder / ${folder.split("/").join(" / ")}` : "base folder");
      const up = folder ? [this.entry("..", true, folder)] : [];
      const folders = entries.filter((each) => each.is_folder && !each.name.startsWith("."));
      const files = this.events.file ? entries.filter((each) => !each.is_folder && this.wanted(each.name)) : [];
      this.list.replaceChildren(
        ...up,
        ...[...folders, ...files].map((each) => this.entry(each.name, each.is_folder, folder)),
      );
      this.events.folder?.(folder);
    } catch (error) {
      if (mine !== this.asked) return;
      setText(this.remark, messageOf(error));
      // A file may name a folder that is not there: the base folder is.
      if (folder && !this.list.childElementCount) void this.open("").then(() => setText(this.remark, messageOf(error)));
    }
  }

  private entry(name: string, isFolder: boolean, folder: string): HTMLElement {
    const button = make("button", "saxs-entry", isFolder ? `${name}/` : name);
    button.addEventListener("click", () => {
      const path = joined(folder, name);
      if (isFolder) return void this.open(path);
      this.events.file?.(path);
      for (const each of this.list.querySelectorAll("button")) each.ariaPressed = String(each === button);
    });
    return make("li", "", button);
  }
}
