// What went wrong in the page. Nothing is swallowed: the console has it, and `window.__errors` keeps it for tests.

export interface Fault {
  readonly where: string;
  readonly message: string;
}

declare global {
  interface Window {
    __errors: Fault[];
  }
}

const KEPT = 200;

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

export function report(where: string, error: unknown): void {
  window.__errors.push({ where, message: messageOf(error) });
  if (window.__errors.length > KEPT) window.__errors.shift();
  console.error(where, error);
}

export function collectFaults(): void {
  window.__errors = [];
  window.addEventListener("error", (event) => report("page", event.error ?? event.message));
  window.addEventListener("unhandledrejection", (event) => report("page", event.reason));
  document.addEventListener("securitypolicyviolation", (event) =>
    report("security policy", `${event.violatedDirective} ${event.blockedURI}`),
  );
}
