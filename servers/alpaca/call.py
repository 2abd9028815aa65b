"""A request of an Alpaca client: who asks, with which number, and its parameters."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from aiohttp import web

from servers.alpaca.member import BadRequest, Member

#: A body must be there within so many seconds.
PATIENCE: Final = 10.0
MOST_NUMBER: Final = (1 << 32) - 1
MOST_DIGITS: Final = 20  # with zeros in front
_FORM: Final = "application/x-www-form-urlencoded"


@dataclass(frozen=True)
class Call:
    """One request.

    Attributes:
        client, transaction: the client's own numbers, 0 where it gives none.
        parameters: texts by name; names of a GET in lower case, as upper and lower case are one there.
        is_put: then they are not.
    """

    client: int
    transaction: int
    parameters: Mapping[str, str]
    is_put: bool

    def values(self, member: Member) -> list[Any]:
        """The values of a member's parameters.

        Raises:
            BadRequest: one is missing, or is no such thing.
        """
        found = []
        for name, convert in member.parameters.items():
            given = self.parameters.get(name if self.is_put else name.casefold())
            if given is None:
                raise BadRequest(f"{member.name}: the parameter {name} is missing")
            try:
                found.append(convert(given))
            except BadRequest as error:
                raise BadRequest(f"{member.name}: {name} = {error}") from None
        return found


async def read_call(request: web.Request) -> Call:
    """The request, understood.

    Raises:
        BadRequest: numbers that are none, or a body that is no form.
    """
    is_put = request.method == "PUT"
    if is_put:
        if request.can_read_body and request.content_type not in (_FORM, "application/octet-stream"):
            raise BadRequest(f"a form is expected ({_FORM}), not {request.content_type}")
        try:
            async with asyncio.timeout(PATIENCE):
                parameters = {key: str(value) for key, value in (await request.post()).items()}
        except TimeoutError:
            raise BadRequest(f"the body did not come within {PATIENCE:g} s") from None
    else:
        parameters = {key.casefold(): value for key, value in request.query.items()}
    client, transaction = (
        _number(name, parameters.get(name if is_put else name.casefold(), "0"))
        for name in ("ClientID", "ClientTransactionID")
    )
    return Call(client, transaction, parameters, is_put)


def _number(name: str, given: str) -> int:
    if not (given.isascii() and given.isdecimal() and len(given) <= MOST_DIGITS and int(given) <= MOST_NUMBER):
        raise BadRequest(f"{name} = {given[:40]!r} is not a whole number in [0, {MOST_NUMBER}]")
    return int(given)
