// The properties of a widget, or of a structure within one: typed, with defaults, macros replaced.

import type { Action } from "./actions";
import type { Color } from "./color";
import type { Macros } from "./macros";
import type { FontRule } from "./subset";
import type { WidgetModel } from "./bob";

export type Point = readonly [x: number, y: number];

export type Value =
  | string
  | number
  | boolean
  | Color
  | FontRule
  | Macros
  | readonly string[]
  | readonly Point[]
  | readonly Action[]
  | readonly WidgetModel[]
  | readonly Properties[]
  | Properties;

export class Properties {
  constructor(private readonly values: ReadonlyMap<string, Value>) {}

  has(name: string): boolean {
    return this.values.has(name);
  }

  private get<T extends Value>(name: string): T {
    const value = this.values.get(name);
    if (value === undefined) throw new Error(`there is no property ${name}`);
    return value as T;
  }

  text = (name: string): string => this.get<string>(name);
  number = (name: string): number => this.get<number>(name);
  flag = (name: string): boolean => this.get<boolean>(name);
  /** The word of an enum: "left", "toggle". */
  option = (name: string): string => this.get<string>(name);
  color = (name: string): Color => this.get<Color>(name);
  font = (name: string): FontRule => this.get<FontRule>(name);
  macros = (name: string): Macros => this.get<Macros>(name);
  actions = (name: string): readonly Action[] => this.get<readonly Action[]>(name);
  points = (name: string): readonly Point[] => this.get<readonly Point[]>(name);
  structure = (name: string): Properties => this.get<Properties>(name);
  structures = (name: string): readonly Properties[] => this.get<readonly Properties[]>(name);
  strings = (name: string): readonly string[] => this.get<readonly string[]>(name);
  widgets = (name: string): readonly WidgetModel[] => this.get<readonly WidgetModel[]>(name);
}
