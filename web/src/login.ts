// Who is logged in: in the head of the page, with the way out.

import { make, setAttribute, setText } from "./dom";

export interface Person {
  /** "" for who looks without a login. */
  readonly name: string;
  readonly role: string;
  /** Whether there is a login to end; a proxy of the site has its own. */
  readonly canLeave: boolean;
}

/** What the server says of the person; undefined where nobody has to log in. */
export function personOf(said: unknown): Person | undefined {
  if (typeof said !== "object" || said === null) return undefined;
  const { name, role, logout } = said as Record<string, unknown>;
  return { name: String(name ?? ""), role: String(role ?? "view"), canLeave: logout === true };
}

export function described({ name, role }: Person): string {
  return name ? `${name} has the role ${role}` : "nobody is logged in";
}

/** Goes to the form when the server no longer knows who this is: the session has ended, or the server was restarted. */
export async function askLogin(): Promise<void> {
  try {
    const answer = await fetch(document.baseURI, { method: "HEAD", redirect: "manual", cache: "no-store" });
    if (answer.status === 401 || answer.type === "opaqueredirect") location.reload();
  } catch {
    // No server: the page says so already, and tries again.
  }
}

export class PersonForm {
  private readonly name = make("span", "name");
  private readonly role = make("span", "role");
  private readonly logOut = make("button", "", "Log out");
  private readonly logIn = make("a", "", "Log in");
  readonly element = make("form", "person", this.name, this.role, this.logOut, this.logIn);

  constructor() {
    this.element.method = "post";
    setAttribute(this.element, "action", "logout");
    this.logIn.href = "login";
    this.element.hidden = true;
  }

  draw(person: Person | undefined): void {
    this.element.hidden = !person;
    if (!person) return;
    setText(this.name, person.name);
    setText(this.role, person.role);
    this.logOut.hidden = !person.canLeave;
    this.logIn.hidden = Boolean(person.name);
  }
}
