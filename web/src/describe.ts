// The tooltip of a widget.

import type { Container } from "./container";
import { formatAge, formatPv, formatTime } from "./format";
import type { Pv } from "./pv";
import type { Row } from "./tooltip";

const AUTOMATIC = [
  "$(pv_name)\n$(pv_value)",
  "$(pv_name)\n$(actions)",
  "$(traces[0].y_pv)",
  "$(pv_value)",
  "$(actions)",
];
const SHOWN_PVS = 6;
const SHOWN_TEXT = 200;

export function describe(widget: Container): readonly Row[] {
  const own = widget.properties.has("tooltip") ? widget.properties.text("tooltip") : "";
  const text = own.replace(/\$\(pv_value\)|\$\(actions\)/g, "").trim();
  const names = widget.allPvs.map((pv) => pv.name);
  const rows: Row[] = text && !AUTOMATIC.includes(own) && !names.includes(text) ? [["", text]] : [];
  for (const pv of widget.allPvs.slice(0, SHOWN_PVS)) rows.push(...describePv(pv, widget));
  for (const limit of widget.model.limits) rows.push(["", limit]);
  return rows;
}

function describePv(pv: Pv, widget: Container): readonly Row[] {
  const rows: Row[] = [["PV", pv.name]];
  if (pv.description) rows.push(["", pv.description]);
  const value = ArrayBuffer.isView(pv.value)
    ? `${pv.value.length} numbers${pv.units ? `, ${pv.units}` : ""}`
    : formatPv(pv, { format: "default", precision: -1, units: true });
  if (value) rows.push(["value", value.length > SHOWN_TEXT ? `${value.slice(0, SHOWN_TEXT)} ...` : value]);
  if (pv.time !== undefined) rows.push(["time", formatTime(pv.time)]);
  if (!pv.connected) rows.push(["not connected", `${pv.reason}, ${formatAge((Date.now() - pv.since) / 1000)}`]);
  else {
    rows.push(["severity", pv.status ? `${pv.severity}: ${pv.status}` : pv.severity]);
    const age = widget.staleAge(pv);
    if (age) rows.push(["stale", `${formatAge(age)} old; expected every ${pv.period} s`]);
    rows.push(...limits(pv));
    if (pv.readonly && widget.panel.page.writes(widget.model.type)) rows.push(["", cannotBeWritten(widget)]);
  }
  return rows;
}

function cannotBeWritten(widget: Container): string {
  const { person } = widget.panel.page.pvs.server;
  return `cannot be written ${person ? `with the role ${person.role}` : "from here"}`;
}

function limits(pv: Pv): readonly Row[] {
  const range = (label: string, low: number | undefined, high: number | undefined): readonly Row[] =>
    low === undefined && high === undefined
      ? []
      : [[label, low === undefined ? `at most ${high}` : high === undefined ? `at least ${low}` : `${low} to ${high}`]];
  const beyond = (label: string, low: number | undefined, high: number | undefined): readonly Row[] => {
    const bounds = [low === undefined ? "" : `from ${low} down`, high === undefined ? "" : `from ${high} up`];
    const text = bounds.filter(Boolean).join(", ");
    return text ? [[label, text]] : [];
  };
  const limited = (pv.driveLow ?? 0) < (pv.driveHigh ?? 0) || pv.driveLow === undefined || pv.driveHigh === undefined;
  return [
    ...(limited ? range("limits", pv.driveLow, pv.driveHigh) : []),
    ...beyond("warning", pv.warnLow, pv.warnHigh),
    ...beyond("alarm", pv.alarmLow, pv.alarmHigh),
  ];
}
