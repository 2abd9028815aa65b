// Macros of Phoebus: $(NAME), ${NAME}, $(NAME=default); a backslash before the dollar sign keeps it as it stands.

export type Macros = Readonly<Record<string, string>>;

/** Gives the value of a macro that the macros themselves do not have, such as $(pv_name). */
export type Fallback = (name: string) => string | undefined;

// The innermost reference: its name holds no further one.
const REFERENCE = /(\\?)\$(?:\(([\w.[\]-]+)(?:=([^$()]*))?\)|\{([\w.[\]-]+)(?:=([^${}]*))?\})/g;
const DEEPEST = 20;

/** The text with all macros replaced that have a value. Those without stay: see `unresolved`. */
export function expand(text: string, macros: Macros, fallback: Fallback = () => undefined): string {
  if (!text.includes("$")) return text;
  let before = text;
  for (let depth = 0; depth < DEEPEST; depth++) {
    const after = before.replace(REFERENCE, (whole, escape: string, round, roundDefault, curly, curlyDefault) => {
      if (escape) return whole;
      const name: string = round ?? curly;
      return (
        (Object.hasOwn(macros, name) ? macros[name] : undefined) ??
        fallback(name) ??
        roundDefault ??
        curlyDefault ??
        whole
      );
    });
    if (after === before) return after.replace(/\\\$/g, "$");
    before = after;
  }
  throw new Error(`macros of "${text}" refer to each other without end`);
}

/** The names of macros that have no value. */
export function unresolved(text: string): string[] {
  return [...text.matchAll(REFERENCE)].filter((found) => !found[1]).map((found) => (found[2] ?? found[4]) as string);
}

/** The macros of an inner display or group: its own, their values expanded with the outer ones, over the outer ones. */
export function nested(outer: Macros, own: Macros): Macros {
  const inner: Record<string, string> = { ...outer };
  for (const [name, value] of Object.entries(own)) inner[name] = expand(value, inner);
  return inner;
}
