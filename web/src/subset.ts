// The widgets and properties that panels may use, shared with the writer and the linter.

import subset from "../../servers/panels/widgets.json";

/** [name, type, default] */
export type PropertyRule = readonly [name: string, type: string, fallback: unknown];

export interface WidgetRule {
  readonly version: string;
  readonly category: string;
  readonly pv: boolean;
  readonly writes: boolean;
  readonly properties: readonly PropertyRule[];
}

export interface StructureRule {
  readonly element?: string;
  readonly type?: string;
  readonly properties?: readonly PropertyRule[];
}

export interface FontRule {
  readonly family: string;
  readonly style: string;
  readonly size: number;
}

export type Rgba = readonly number[];

interface Subset {
  readonly excluded: readonly string[];
  readonly colors: Readonly<Record<string, { readonly light: Rgba; readonly dark: Rgba }>>;
  readonly fonts: Readonly<Record<string, FontRule>>;
  readonly enums: Readonly<Record<string, readonly string[]>>;
  readonly structures: Readonly<Record<string, StructureRule>>;
  readonly display: { readonly properties: readonly PropertyRule[] };
  readonly widgets: Readonly<Record<string, WidgetRule>>;
}

export const SUBSET = subset as unknown as Subset;
