"""Who is at the other end of one request or one socket."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from aiohttp import web

from servers.epics.access import Client
from servers.epics.audit import Audit
from servers.web.login.person import ANYBODY, Person
from servers.web.login.sessions import Session


@dataclass(frozen=True)
class Visitor:
    """A session, and the address that its person uses it from; behind a proxy that of the browser."""

    session: Session
    address: str

    @property
    def person(self) -> Person:
        return self.session.person

    @property
    def is_known(self) -> bool:
        """Whether the facility asks people who they are at all."""
        return self.person is not ANYBODY

    def may_write(self, level: str) -> bool:
        return not self.session.why and self.person.may_write(level)

    @property
    def claims(self) -> Mapping[str, str]:
        """What the mirror is told with every write, for its access rules and its audit."""
        return {"person": self.person.name, "address": self.address} if self.person.name else {}

    def audit_refusal(self, audit: Audit, pv: str, wanted: object, why: str) -> None:
        """A write that never reached the mirror, as the mirror writes those that did."""
        audit.write(Client("web", self.address, 0, "", self.person.name), pv, None, wanted, why)

    def __str__(self) -> str:
        return f"{self.person.name}@{self.address}" if self.person.name else self.address


_KEY: Final = web.RequestKey("visitor", Visitor)


def visitor_of(request: web.Request) -> Visitor:
    """Who asks; known once the request has passed the logins."""
    return request[_KEY]


def introduce(request: web.Request, visitor: Visitor) -> None:
    request[_KEY] = visitor
