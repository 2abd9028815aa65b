"""A person, and what they may do: the roles of people meet the levels of PVs here."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from devices.core.errors import NotAllowedError
from servers.facility.web_settings import EVERYBODY, Role, WebSettings

ROLES: Final[tuple[Role, ...]] = ("view", "operate", "expert")
#: The role that a PV's level asks for; a level that is not known here asks for the highest.
NEEDED: Final[Mapping[str, Role]] = {"operator": "operate", "expert": "expert"}
#: Names go into logs, audits and headers.
NAME: Final = re.compile(r"[\w.@+-]{1,64}")


@dataclass(frozen=True)
class Person:
    """Who is logged in.

    Attributes:
        name: "" where nobody has to log in, or has.
    """

    name: str
    role: Role

    def __str__(self) -> str:
        return self.name or "a visitor without a login"

    def may_write(self, level: str) -> bool:
        return ROLES.index(self.role) >= ROLES.index(NEEDED.get(level, "expert"))

    def demand(self, pv: str, level: str) -> None:
        """Do nothing when the person may write a PV of this level.

        Raises:
            NotAllowedError: they may not.
        """
        if not self.may_write(level):
            needed = NEEDED.get(level, "expert")
            raise NotAllowedError(f"{pv}: {self} has the role {self.role}, and writing it needs {needed}")


#: Where the facility asks nobody who they are.
ANYBODY: Final = Person("", "expert")
VISITOR: Final = Person("", "view")


def person_of(name: str, settings: WebSettings) -> Person:
    """The person of this name: their own role, or the highest of their groups, or that of everybody, or ``view``."""
    roles = settings.roles
    if name in roles:
        return Person(name, roles[name])
    of_groups = [
        roles[f"@{group}"] for group, members in settings.groups.items() if name in members and f"@{group}" in roles
    ]
    return Person(name, max(of_groups, key=ROLES.index, default=roles.get(EVERYBODY, "view")))
