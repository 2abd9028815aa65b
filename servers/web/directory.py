"""Which PVs there are and which of them may be written, as the mirrors list them."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from p4p.nt import NTURI

from devices.core.errors import DiptychError
from servers.web.channels import Channels

log = logging.getLogger(__name__)

PERIOD: Final = 10.0  # s between two questions
BEGINNING: Final = 0.5  # s, the same until all have answered once
PATIENCE: Final = 5.0  # s for an answer
COMMAND: Final = "ListPVs"


@dataclass(frozen=True)
class Entry:
    """One PV.

    Attributes:
        level: who may write it, ``operator`` or ``expert``.
        question: what must be asked before every write; "" for nothing.
        period: s, the longest silence of a source that is well; None for no bound.
        reads_only: a command that changes nothing: who may look may call it.
    """

    name: str
    is_writable: bool
    level: str = "operator"
    question: str = ""
    period: float | None = None
    reads_only: bool = False


class Directory:
    """All PVs of the mirrors, asked for again and again: devices come and go.

    Args:
        prefixes: of the mirrors' own PVs, e.g. ``MIRROR1:``.

    Attributes:
        is_complete: every mirror has answered at least once.
        watchers: called when something changed.
    """

    def __init__(self, channels: Channels, prefixes: Sequence[str]) -> None:
        self._channels, self._prefixes = channels, prefixes
        self._of: dict[str, dict[str, Entry]] = {}
        self._asking = asyncio.Lock()
        self.watchers: set[Callable[[], None]] = set()

    @property
    def is_complete(self) -> bool:
        return len(self._of) == len(self._prefixes)

    def entry(self, name: str) -> Entry | None:
        """What is known of a PV; None for one that no mirror has."""
        for entries in self._of.values():
            if name in entries:
                return entries[name]
        return None

    async def find(self, name: str) -> Entry | None:
        """As ``entry``, but the mirrors are asked for one that is not known: they may have got it just now."""
        deadline = time.monotonic() + PATIENCE
        while self.entry(name) is None and time.monotonic() < deadline:
            was_complete = self.is_complete
            await self.ask()
            if was_complete:
                break
            await asyncio.sleep(0.0 if self.is_complete else BEGINNING)
        return self.entry(name)

    async def follow(self) -> None:
        """Keep it up to date until cancelled."""
        while True:
            await self.ask()
            await asyncio.sleep(PERIOD if self.is_complete else BEGINNING)

    async def ask(self) -> None:
        """Ask every mirror now."""
        async with self._asking:  # a mirror answers one question at a time
            before = dict(self._of)
            await asyncio.gather(*(self._ask(prefix) for prefix in self._prefixes))
        if self._of != before:
            for watcher in tuple(self.watchers):
                watcher()

    async def _ask(self, prefix: str) -> None:
        query = NTURI([]).wrap(prefix + COMMAND)
        try:
            answer = await asyncio.wait_for(self._channels.call(prefix + COMMAND, query), PATIENCE)
            found: list[dict[str, Any]] = json.loads(answer.value)["pvs"]
            self._of[prefix] = {row["name"]: _entry(row) for row in found}
        except (TimeoutError, DiptychError) as error:
            log.debug("%s%s: %s", prefix, COMMAND, error or "no answer")
        except (ValueError, KeyError, TypeError) as error:
            log.warning("%s%s: not a list of PVs: %r", prefix, COMMAND, error)


def _entry(row: dict[str, Any]) -> Entry:
    what = row["part"].removesuffix("()").replace("_", " ").capitalize()
    question = f"{what}: really?" if row["is_dangerous"] else ""
    return Entry(row["name"], row["is_writable"], row["level"], question, row["period"], row["reads_only"])
