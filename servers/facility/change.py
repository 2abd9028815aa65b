"""One difference between a facility file and a Tango database."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import tango

Apply = Callable[[tango.Database], None]
Kind = Literal["add", "change", "delete"]

_SIGNS: Mapping[Kind, str] = {"add": "+", "change": "~", "delete": "-"}


@dataclass(frozen=True)
class Change:
    """One difference between a facility file and the database.

    Attributes:
        kind: what happens to the thing.
        text: the thing, and its old and new value.
        server: the server that reads it when it starts; None for a thing of no single server.
        apply: makes the change in the database.
    """

    kind: Kind
    text: str
    server: str | None
    apply: Apply

    def __str__(self) -> str:
        return f"{_SIGNS[self.kind]} {self.text}"
