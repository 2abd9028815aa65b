// What happened, newest first: of one alarm, or of all.

import { make } from "../dom";
import { messageOf } from "../faults";
import { formatTime } from "../format";
import { severityOf, type Step } from "./alarm";
import { readSteps } from "./alarm_list";

const STEPS: Readonly<Record<string, string>> = { worse: "got worse", cleared: "is over" };

/** A list that fills itself; an empty name means all alarms. */
export function stepsList(alarm: string, hours: number, fits: (step: Step) => boolean = () => true): HTMLElement {
  const list = make("ol", "alarm-steps", make("li", "faint", "..."));
  readSteps(alarm, hours).then(
    (steps) => {
      const shown = steps.filter(fits);
      list.replaceChildren(...shown.map((step) => entry(step, alarm === "")));
      if (!shown.length) list.append(make("li", "faint", "nothing"));
    },
    (error: unknown) => list.replaceChildren(make("li", "faint", messageOf(error))),
  );
  return list;
}

function entry(step: Step, named: boolean): HTMLElement {
  const severity = severityOf(step.severity);
  const line = make("li", "", make("time", "", formatTime(step.time_s).slice(0, -4)), " ");
  line.dataset.sev = severity;
  if (named) line.append(make("b", "", step.alarm), " ");
  line.append(STEPS[step.step] ?? step.step);
  if (severity !== "NO_ALARM") line.append(`, ${severity}`);
  if (step.text) line.append(`: ${step.text}`);
  if (step.who || step.why) line.append(make("i", "", ` ${[step.who, step.why].filter(Boolean).join(": ")}`));
  return line;
}
