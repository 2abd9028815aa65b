"""What a failure does to a script."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

FORM: Final = "stop, skip, pause, retry N, retry N skip or retry N pause, with N from 1 to 100"
_RETRY: Final = re.compile(r"retry\s+(\d{1,3})(?:\s+(stop|skip|pause))?")


@dataclass(frozen=True)
class Policy:
    """What is done when a row fails: tried again so often, and then `then`: stop, skip or pause."""

    retries: int = 0
    then: str = "stop"

    @classmethod
    def parse(cls, text: str) -> Policy:
        """A policy as it is written, `FORM`.

        Raises:
            ValueError: it is none.
        """
        words = text.strip().casefold()
        if words in ("stop", "skip", "pause"):
            return cls(then=words)
        match = _RETRY.fullmatch(words)
        if match is None or not 1 <= int(match[1]) <= 100:
            raise ValueError(FORM)
        return cls(int(match[1]), match[2] or "stop")

    def __str__(self) -> str:
        return f"retry {self.retries} {self.then}" if self.retries else self.then
