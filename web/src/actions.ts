// What a button does. Programs and scripts never run in the browser.

import type { Macros } from "./macros";

interface Common {
  readonly description: string;
  /** All actions of the button are done by one press; otherwise several of them make a menu. */
  readonly together: boolean;
}

export type Action =
  | (Common & { readonly type: "write_pv"; readonly pv: string; readonly value: string })
  | (Common & { readonly type: "open_display"; readonly file: string; readonly macros: Macros; readonly tab: boolean })
  | (Common & { readonly type: "open_webpage"; readonly url: string })
  | (Common & { readonly type: "refused"; readonly reason: string });

export function isActionType(type: string): type is "write_pv" | "open_display" | "open_webpage" {
  return ["write_pv", "open_display", "open_webpage"].includes(type);
}
