// Array PVs side by side: a row for each element.

import type { Device } from "../device";
import { make, setText } from "../dom";
import { formatNumber } from "../format";
import type { Pv } from "../pv";

/** Columns are a title and the name of a PV; `what` is what a row is, for tests and for styles. */
export function columnTable(
  device: Device,
  what: string,
  columns: readonly (readonly [title: string, name: string])[],
): HTMLElement {
  const heads = columns.map(([title]) => make("th", "", title));
  const body = make("tbody");
  const pvs: (Pv | undefined)[] = columns.map(() => undefined);
  const draw = (): void => {
    const rows = Math.max(0, ...pvs.map((pv) => lengthOf(pv)));
    while (body.childElementCount > rows) body.lastElementChild?.remove();
    for (let row = 0; row < rows; row++) {
      let line = body.children[row];
      if (!line)
        body.append((line = make("tr", "", make("th", "", String(row + 1)), ...columns.map(() => make("td")))));
      for (const [column, pv] of pvs.entries()) {
        const cell = line.children[column + 1] as Element;
        setText(cell, cellOf(pv, row));
        cell.classList.toggle("ccd-text", isText(pv));
      }
    }
  };
  for (const [index, [title, name]] of columns.entries())
    device.watch(name, (pv) => {
      pvs[index] = pv;
      const head = heads[index] as HTMLElement;
      head.classList.toggle("ccd-text", isText(pv));
      setText(head, pv.units ? `${title} / ${pv.units}` : title);
      head.title = pv.connected ? pv.description : pv.reason;
      head.dataset.sev = pv.connected ? pv.severity : "DISCONNECTED";
      draw();
    });
  const table = make("table", "ccd-table", make("thead", "", make("tr", "", make("th"), ...heads)), body);
  table.dataset.rows = what;
  return make("div", "ccd-scroll", table);
}

function isText(pv: Pv | undefined): boolean {
  return Array.isArray(pv?.value);
}

function lengthOf(pv: Pv | undefined): number {
  return pv?.value !== undefined && typeof pv.value === "object" && pv.severity !== "INVALID" ? pv.value.length : 0;
}

function cellOf(pv: Pv | undefined, row: number): string {
  if (row >= lengthOf(pv) || typeof pv?.value !== "object") return "";
  const value = pv.value[row];
  return typeof value === "number" ? formatNumber(value, "default", pv.precision) : (value ?? "");
}
