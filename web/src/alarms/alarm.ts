// The alarms of the facility, as its alarm device lists them in one PV; docs/alarms.md.

export type AlarmSeverity = "NO_ALARM" | "MINOR" | "MAJOR" | "INVALID";
export type Stand = "NORMAL" | "UNACKNOWLEDGED" | "ACKNOWLEDGED" | "RETURNED" | "SHELVED" | "OUT_OF_SERVICE";

export interface Alarm {
  readonly name: string;
  readonly device: string;
  readonly stand: Stand;
  readonly severity: AlarmSeverity;
  /** The worst since it was acknowledged. */
  readonly worst: AlarmSeverity;
  readonly text: string;
  readonly guidance: string;
  /** Seconds since 1970; 0: not yet. */
  readonly raised_s: number;
  readonly cleared_s: number;
  readonly shelved_until_s: number;
  readonly acknowledged_by: string;
  readonly set_aside_by: string;
  readonly set_aside_why: string;
}

/** One step in the life of an alarm. */
export interface Step {
  readonly time_s: number;
  readonly alarm: string;
  readonly step: string;
  readonly severity: number;
  readonly text: string;
  readonly who: string;
  readonly why: string;
}

const SEVERITIES: readonly AlarmSeverity[] = ["NO_ALARM", "MINOR", "MAJOR", "INVALID"];
const STANDS: Readonly<Record<Stand, string>> = {
  NORMAL: "over",
  UNACKNOWLEDGED: "new",
  ACKNOWLEDGED: "acknowledged",
  RETURNED: "over, not acknowledged",
  SHELVED: "shelved",
  OUT_OF_SERVICE: "out of service",
};

/** Each text is an alarm. Throws what is wrong with one. */
export function parseTable(texts: readonly string[]): readonly Alarm[] {
  return texts.map((text) => JSON.parse(text) as Alarm);
}

export function standText(alarm: Alarm): string {
  return STANDS[alarm.stand] ?? alarm.stand;
}

export function severityOf(index: number): AlarmSeverity {
  return SEVERITIES[index] ?? "INVALID";
}

export function wantsSomebody({ stand }: Alarm): boolean {
  return stand === "UNACKNOWLEDGED" || stand === "RETURNED";
}

export function isSetAside({ stand }: Alarm): boolean {
  return stand === "SHELVED" || stand === "OUT_OF_SERVICE";
}

/** What is shown in the head: how many, how many nobody has acknowledged, and how bad the worst is. */
export function summary(alarms: readonly Alarm[]): { active: number; fresh: number; worst: AlarmSeverity } {
  const listed = alarms.filter((alarm) => !isSetAside(alarm));
  const active = listed.filter(({ severity }) => severity !== "NO_ALARM");
  const worst = Math.max(0, ...active.map(({ severity }) => SEVERITIES.indexOf(severity)));
  return { active: active.length, fresh: listed.filter(wantsSomebody).length, worst: severityOf(worst) };
}

/** Whether all words of the filter are somewhere in the alarm. */
export function fits(alarm: Alarm, filter: string): boolean {
  const all = [alarm.name, alarm.device, alarm.severity, standText(alarm), alarm.text, alarm.guidance]
    .join(" ")
    .toLowerCase();
  return filter
    .toLowerCase()
    .split(/\s+/)
    .every((word) => all.includes(word));
}

/** A rule has a name of its own, and nothing to draw. */
export function isPv(alarm: Alarm): boolean {
  return alarm.device !== "";
}
