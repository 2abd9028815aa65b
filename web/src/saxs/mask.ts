// A mask is chosen from the detector's folders, or sent from this computer, and looked at before it is taken.

import { make, setText } from "../dom";
import { messageOf } from "../faults";
import type { Device } from "../device";
import { choose } from "./dialog";
import { pickFile, toBase64 } from "./files";
import { FolderBrowser, joined } from "./folder";

interface Preview {
  readonly rows: number;
  readonly columns: number;
  readonly masked: number;
  readonly width: number;
  readonly height: number;
  readonly pixels: string;
}

const MASKS = /\.(msk|tiff?|edf|cbf|png|npy)$/i;

export class MaskPreview {
  readonly element = make("figure", "saxs-mask");
  private readonly canvas = make("canvas");
  private readonly text = make("figcaption");
  private asked = 0;

  constructor(private readonly detector: Device) {
    this.canvas.hidden = true;
    this.element.append(this.canvas, this.text);
  }

  say(text: string): void {
    this.asked++;
    this.canvas.hidden = true;
    delete this.element.dataset.wrong;
    setText(this.text, text);
  }

  async show(file: string): Promise<void> {
    this.say(file ? "reading" : "no mask");
    const mine = this.asked;
    if (!file) return;
    try {
      const found = await this.detector.ask<Preview>("MaskPreview", { file });
      if (mine !== this.asked) return;
      this.paint(found);
      const part = ((100 * found.masked) / (found.rows * found.columns)).toFixed(1);
      setText(this.text, `${file}: ${found.rows} × ${found.columns} px, ${part} % masked`);
    } catch (error) {
      if (mine !== this.asked) return;
      this.element.dataset.wrong = "";
      setText(this.text, messageOf(error));
    }
  }

  private paint({ width, height, pixels }: Preview): void {
    this.canvas.width = width;
    this.canvas.height = height;
    const context = this.canvas.getContext("2d");
    if (!context) return;
    const data = context.createImageData(width, height);
    const shares = Uint8Array.from(atob(pixels), (each) => each.charCodeAt(0));
    for (const [index, share] of shares.entries()) data.data.set([150, 60, 50, share], 4 * index);
    context.putImageData(data, 0, 0);
    this.canvas.hidden = false;
  }
}

/** The path of the chosen mask; "" for none; undefined when nothing was chosen. Throws when one could not be sent. */
export async function pickMask(detector: Device, present: string): Promise<string | undefined> {
  let chosen: string | Promise<string> = present;
  const preview = new MaskPreview(detector);
  const take = (path: string): void => {
    chosen = path;
    void preview.show(path);
  };
  const browser = new FolderBrowser(detector, { file: take }, (name) => MASKS.test(name));
  const remark = make("p", "saxs-problem");
  remark.role = "alert";
  const upload = async (file: File): Promise<string> => {
    const content = toBase64(new Uint8Array(await file.arrayBuffer()));
    const path = String(await detector.call("KeepMask", { name: file.name, content }));
    void preview.show(path);
    return path;
  };
  const send = make("button", "saxs-button", "From this computer...");
  send.addEventListener("click", () => {
    void pickFile(".msk,.tif,.tiff,.edf,.cbf,.png,.npy").then((file) => {
      if (!file) return;
      setText(remark, "");
      preview.say(`sending ${file.name}`);
      // Whoever takes it before it is there waits for it.
      chosen = upload(file);
      chosen.catch((error: unknown) => setText(remark, messageOf(error)));
    });
  });
  void browser.open(present.startsWith("/") ? "" : joined(present, ".."));
  void preview.show(present);
  const body = make("div", "saxs-pick", make("div", "", browser.element, send, remark), preview.element);
  const answer = await choose(
    "Which mask?",
    [body],
    [
      { text: "Take it", value: "take" },
      { text: "No mask", value: "none" },
      { text: "Cancel", value: "cancel" },
    ],
  );
  if (answer === "take") return chosen;
  return answer === "none" ? "" : undefined;
}

/** The components of the chosen folder; undefined when none was chosen. */
export async function pickFolder(detector: Device, present: readonly string[]): Promise<string[] | undefined> {
  let chosen = "";
  const browser = new FolderBrowser(detector, { folder: (path) => (chosen = path) });
  void browser.open(joined(present.join("/"), "."));
  const answer = await choose(
    "The folder of the images",
    [browser.element],
    [
      { text: "Take this folder", value: true },
      { text: "Cancel", value: false },
    ],
  );
  if (!answer) return undefined;
  return chosen ? chosen.split("/") : ["."];
}

/** The path of the chosen file below the base folder. */
export async function pickPath(detector: Device, present: readonly string[]): Promise<string[] | undefined> {
  let chosen = "";
  const browser = new FolderBrowser(detector, { file: (path) => (chosen = path) });
  void browser.open(joined(present.join("/"), present.length ? ".." : "."));
  const answer = await choose(
    "Which file?",
    [browser.element],
    [
      { text: "Take it", value: true },
      { text: "Cancel", value: false },
    ],
  );
  return answer && chosen ? chosen.split("/") : undefined;
}
