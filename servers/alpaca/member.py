"""Members of an Alpaca device: what can be read, what can be put, and with which parameters."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

from devices.core.errors import DiptychError
from devices.drivers.alpaca_errors import ErrorNumber, number_of

F = TypeVar("F", bound=Callable[..., Any])
#: The text of a parameter -> its value; raises BadRequest.
Converter = Callable[[str], Any]
_WHOLE: Final = re.compile(r"[+-]?[0-9]{1,18}", re.ASCII)


class BadRequest(Exception):
    """The request is none of this protocol: HTTP 400 with this text."""


class Refusal(DiptychError):
    """A member refuses with an error number of Alpaca's own."""

    def __init__(self, number: ErrorNumber, text: str) -> None:
        super().__init__(text)
        self.number = number


def not_implemented(text: str) -> Refusal:
    """This camera has no such thing."""
    return Refusal(ErrorNumber.NOT_IMPLEMENTED, text)


def error_number(error: DiptychError) -> ErrorNumber:
    """What is answered for an error of a member."""
    return error.number if isinstance(error, Refusal) else number_of(error)


@dataclass(frozen=True)
class Member:
    """One member.

    Attributes:
        work: the method, which gets the device and the values of the parameters in order; may be a coroutine.
        parameters: name -> converter.
        always: it answers also before anybody has connected.
        by_client: the work gets the number of the client, too, as the last value.
    """

    name: str
    work: Callable[..., Any]
    parameters: Mapping[str, Converter] = field(default_factory=dict)
    always: bool = False
    by_client: bool = False


def get(*, always: bool = False, **parameters: Converter) -> Callable[[F], F]:
    """The method answers GET of the member of its name."""

    def declare(function: F) -> F:
        function.__get_member__ = Member(function.__name__, function, parameters, always)  # type: ignore[attr-defined]
        return function

    return declare


def put(*, always: bool = False, by_client: bool = False, **parameters: Converter) -> Callable[[F], F]:
    """The method answers PUT of the member of its name; ``put_`` before it tells it from the one that reads."""

    def declare(function: F) -> F:
        name = function.__name__.removeprefix("put_")
        function.__put_member__ = Member(name, function, parameters, always, by_client)  # type: ignore[attr-defined]
        return function

    return declare


# Texts of parameters -> values --------------------------------------------------------------------------------------


def text(given: str) -> str:
    """As it is."""
    return given


def whole(given: str) -> int:
    """A whole number."""
    if not _WHOLE.fullmatch(given.strip()):
        raise BadRequest(f"{given[:40]!r} is not a whole number")
    return int(given)


def number(given: str) -> float:
    """A number, with a point."""
    try:
        value = float(given)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise BadRequest(f"{given[:40]!r} is not a number")
    return value


def truth(given: str) -> bool:
    """True or False, upper or lower case."""
    try:
        return {"true": True, "false": False}[given.strip().casefold()]
    except KeyError:
        raise BadRequest(f"{given[:40]!r} is neither True nor False") from None
