// The page of a CCD camera beside its panel: the headers of all tools, telemetry, quick looks.

import { Device } from "../device";
import { make, setText } from "../dom";
import { messageOf } from "../faults";
import { formatPv, PLAIN } from "../format";
import type { Page } from "../page";
import { TabBar } from "../tab_bar";
import { columnTable } from "./column_table";
import { HeaderEditor } from "./header_editor";
import { type CcdQuery, formatCcd, type TabName } from "./query";

const TITLES: Readonly<Record<TabName, string>> = {
  header: "Header",
  telemetry: "Telemetry",
  "quick-look": "Quick look",
};

/** What follows the prefix of the exposure in the names of a tool's PVs. */
const TOOLS = [
  ["", "Exposure"],
  ["CTRL:", "Controller"],
  ["INST:", "Instrument"],
  ["TEL:", "Telescope"],
  ["TEMP:", "Temperatures"],
  ["DISP:", "Display"],
] as const;

export class CcdPage {
  readonly element = make("div", "ccd");
  private readonly devices: Device[] = [];

  constructor(page: Page, query: CcdQuery) {
    const device = (suffix: string): Device => {
      const made = new Device(page, query.prefix + suffix);
      this.devices.push(made);
      return made;
    };
    const camera = device("");
    const panel = make("a", "", "Camera");
    panel.href = `#/ccd?P=${encodeURIComponent(query.prefix)}`;
    const bar = new TabBar(TITLES, camera, panel, (tab) =>
      history.replaceState(null, "", formatCcd({ prefix: query.prefix, tab })),
    );
    bar.body("header").append(...TOOLS.map(([suffix, title]) => new HeaderEditor(device(suffix), title).element));
    bar.body("telemetry").append(...telemetryOf(device("CTRL:")));
    bar.body("quick-look").append(...quickLookOf(camera));
    this.element.append(bar.element, ...bar.all);
    bar.show(query.tab);
  }

  close(): void {
    for (const device of this.devices) device.close();
  }
}

function telemetryOf(controller: Device): HTMLElement[] {
  return [
    headed("Sensors", columnTable(controller, "sensor", [
      ["Sensor", "SensorNames"],
      ["Temperature", "SensorTemperatures"],
    ])),
    headed("Telemetry of the controller", columnTable(controller, "telemetry", [
      ["Name, unit last", "TelemetryNames"],
      ["Value", "TelemetryValues"],
    ])),
  ]; // prettier-ignore
}

function quickLookOf(camera: Device): HTMLElement[] {
  const forget = make("button", "ccd-button ccd-small", "Begin anew");
  forget.title = "Forget the zeros and flats of which gain and read noise are made";
  const problem = make("p", "ccd-problem");
  problem.role = "alert";
  forget.addEventListener("click", () => {
    camera.call("ForgetPairs").then(
      () => setText(problem, ""),
      (error: unknown) => setText(problem, messageOf(error)),
    );
  });
  return [
    headed("Amplifiers", make("p", "", "Image ", valueOf(camera, "LookedAt"), " ", valueOf(camera, "LookProblem")),
      columnTable(camera, "amplifier", [
        ["Bias", "AmpBias"],
        ["Noise", "AmpNoise"],
        ["Mean", "AmpMean"],
        ["Median", "AmpMedian"],
        ["Sigma", "AmpSigma"],
        ["Least", "AmpMinimum"],
        ["Greatest", "AmpMaximum"],
        ["Saturated", "AmpSaturated"],
      ])),
    headed("Gain and read noise", make("p", "", valueOf(camera, "PhotonTransfer"), " ", forget), problem,
      columnTable(camera, "gain", [
        ["Gain", "AmpGain"],
        ["Read noise", "AmpReadNoise"],
        ["Signal of the flats", "AmpSignal"],
      ])),
    headed("Stars", make("p", "", "Image ", valueOf(camera, "StarsOf")),
      columnTable(camera, "star", [
        ["Column", "StarX"],
        ["Row", "StarY"],
        ["Flux", "StarFlux"],
        ["Peak", "StarPeak"],
        ["FWHM", "StarFwhm"],
        ["Ellipticity", "StarEllipticity"],
      ])),
  ]; // prettier-ignore
}

function headed(title: string, ...content: readonly HTMLElement[]): HTMLElement {
  return make("section", "ccd-section", make("h2", "", title), ...content);
}

function valueOf(device: Device, name: string): HTMLElement {
  const text = make("output");
  device.watch(name, (pv) => setText(text, pv.connected ? formatPv(pv, PLAIN) : "not connected"));
  return text;
}
