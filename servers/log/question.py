"""Which entries somebody wants."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Final

from devices.core.errors import BadValueError, RangeError
from servers.facility.duration import seconds_of
from servers.history.when import moment_s
from servers.log.entry import Entry, Level, level_of
from servers.log.folder import Series

MAX_DIGITS: Final = 12
MAX_COUNT: Final = 5000
USUAL_COUNT: Final = 100
#: A text that stands in a file as it stands in an entry, unless it is in what entries have beside.
_PLAIN: Final = re.compile(r"[a-z0-9_]([a-z0-9_:.-]*[a-z0-9_])?")
_OURS: Final = "write was at from nobody lines more"
KEYS: Final = ("level", "server", "text", "who", "pv", "writes", "since", "until", "count")


@dataclass(frozen=True)
class Question:
    """A filter; what is empty lets everything pass.

    Attributes:
        level: at least so bad.
        server: a process, ``sim.*`` for several.
        text: is somewhere in the entry; large and small letters are the same.
        who: part of the user, the host or the address of a write.
        pv: a PV that was written, ``CRYO1:*`` for several.
        writes: writes only.
        since_s, until_s: seconds since 1970.
    """

    level: Level = Level.DEBUG
    server: str = ""
    text: str = ""
    who: str = ""
    pv: str = ""
    writes: bool = False
    since_s: float = 0.0
    until_s: float = float("inf")

    def may_be_in(self, series: Series) -> bool:
        """Whether a file can have anything of what is wanted."""
        if self._is_about_writes and not series.is_audit:
            return False
        return not self.server or fnmatchcase(series.server, self.server)

    def may_be_among(self, data: bytes, server: str) -> bool:
        """Whether the bytes of a file can have anything of what is wanted; quick."""
        wanted = self.text.casefold()
        if not _PLAIN.fullmatch(wanted) or wanted.isdigit() or wanted in _OURS or wanted in server.casefold():
            return True
        return wanted.encode() in data.lower()

    def matches(self, entry: Entry) -> bool:
        """Whether an entry is wanted."""
        if entry.level < self.level or not self.since_s <= entry.time_s <= self.until_s:
            return False
        if self.server and not fnmatchcase(entry.server, self.server):
            return False
        if self._is_about_writes:
            write = entry.write
            if write is None or self.who.casefold() not in f"{write.who} {write.host} {write.peer}".casefold():
                return False
            if self.pv and not fnmatchcase(write.pv.casefold(), self.pv.casefold()):
                return False
        wanted = self.text.casefold()
        return not wanted or wanted in f"{entry.server}\n{entry.source}\n{entry.text}".casefold()

    @property
    def _is_about_writes(self) -> bool:
        return bool(self.writes or self.who or self.pv)


def question_of(asked: Mapping[str, str]) -> tuple[Question, int]:
    """A question as a page or a command line asks it, and how many entries it wants.

    Raises:
        BadValueError, RangeError: it is no question.
    """
    if unknown := sorted(set(asked) - set(KEYS)):
        raise BadValueError(f"{unknown[0]!r} is none of {', '.join(KEYS)}")
    count = asked.get("count", "") or str(USUAL_COUNT)
    if not count.isdecimal() or len(count) > MAX_DIGITS:
        raise BadValueError(f"count = {count!r:.40} is not a whole number")
    if not 1 <= int(count) <= MAX_COUNT:
        raise RangeError(f"count = {count} is outside [1, {MAX_COUNT}]")
    question = Question(
        level=level_of(asked["level"]) if asked.get("level") else Level.DEBUG,
        server=asked.get("server", ""),
        text=asked.get("text", ""),
        who=asked.get("who", ""),
        pv=asked.get("pv", ""),
        writes=asked.get("writes", "") in ("1", "true"),
        since_s=_moment(asked["since"]) if asked.get("since") else 0.0,
        until_s=_moment(asked["until"]) if asked.get("until") else float("inf"),
    )
    return question, int(count)


def _moment(text: str) -> float:
    """``1h`` and ``1 h ago`` mean the same."""
    now = time.time()
    try:
        return now - seconds_of(text)
    except BadValueError:
        return moment_s(text, now)
