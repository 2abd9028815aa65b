"""A reply, and what an error looks like in one."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from devices.core.errors import DiptychError, reason


class Encoded(str):
    """JSON already, and not encoded again: what every poll repeats is kept as text."""


@dataclass(frozen=True)
class Reply:
    """What a client gets: ``result`` names what was done or that it was not, ``data`` has what it gives."""

    result: str
    data: Mapping[str, Any] = field(default_factory=dict)

    def text(self) -> bytes:
        """One line of JSON; NaN is a bare word, as clients read it."""
        data = ", ".join(f"{json.dumps(key)}: {_json(value)}" for key, value in self.data.items())
        return f'{{"result": {json.dumps(self.result)}, "data": {{{data}}}}}'.encode()


def error_reply(result: str, text: str) -> Reply:
    """Clients see an error by ``Error`` in the result, or as a key of the data."""
    return Reply(result, {"Error": text})


def error_text(error: Exception) -> str:
    """The class of an error, so that a client can tell a wrong value from a busy device, and what it says."""
    return f"{reason(error)}: {error}" if isinstance(error, DiptychError) else str(error) or type(error).__name__


def _json(value: Any) -> str:
    return value if isinstance(value, Encoded) else json.dumps(value)
