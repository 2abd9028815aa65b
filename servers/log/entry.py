"""One entry of the log: what a process said, or a write."""

from __future__ import annotations

import enum
import json
import re
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Final

from devices.core.errors import BadValueError

MAX_SHOWN: Final = 200  # characters of a value
_CONTROL: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029]")


class Level(enum.IntEnum):
    """How bad it is; the numbers are those of Python's logging."""

    DEBUG = 10
    INFO = 20
    WARNING = 30
    ERROR = 40
    CRITICAL = 50


#: Spellings of other libraries in a facility's processes (pvxs, omniORB, cppTango).
SPELLINGS: Final = {
    **{level.name: level for level in Level},
    "WARN": Level.WARNING,
    "ERR": Level.ERROR,
    "CRIT": Level.CRITICAL,
    "FATAL": Level.CRITICAL,
}


def level_of(text: str) -> Level:
    """The level that a person means.

    Raises:
        BadValueError: there is none of that name.
    """
    try:
        return SPELLINGS[text.strip().upper()]
    except KeyError:
        raise BadValueError(f"level = {text!r} is none of {', '.join(level.name for level in Level)}") from None


@dataclass(frozen=True, slots=True)
class Write:
    """A write by an EPICS client, as the mirror has audited it.

    Attributes:
        who: the user that the client claims to be.
        host: the host that it claims to be on.
        peer: the address that it came from, HOST:PORT.
        result: ``done``, ``started ID``, or why not.
    """

    who: str
    host: str
    peer: str
    pv: str
    old: str
    value: str
    result: str

    @property
    def is_refused(self) -> bool:
        return not self.result.startswith(("done", "started"))

    def __str__(self) -> str:
        was = f" (was {self.old})" if self.old else ""
        at = f" at {self.host}" if self.host else ""
        return f"{self.pv} := {self.value}{was}, {self.who or 'nobody'}{at} from {self.peer}: {self.result}"


@dataclass(frozen=True, slots=True)
class Entry:
    """What was said.

    Attributes:
        id: the same whenever the entry is read, also after its file was set aside.
        time_s: seconds since 1970.
        server: the process: ``cryocon``, ``mirror``, ``facility`` for the supervisor; ``audit`` for writes.
        source: the device or the logger; "" where nobody says.
        text: may have several lines.
        write: of an entry of the audit.
    """

    id: str
    time_s: float
    server: str
    level: Level
    source: str
    text: str
    write: Write | None = None

    def as_dict(self) -> dict[str, Any]:
        """As JSON has it."""
        return {
            "id": self.id,
            "time": self.time_s,
            "server": self.server,
            "level": self.level.name,
            "source": self.source,
            "text": self.text,
            "write": asdict(self.write) if self.write else None,
        }


def entry_of_audit(line: str, server: str, offset: int) -> Entry | None:
    """The entry of a line of an audit file; None when it is none. What is no write (a login) shows all that it says."""
    try:
        found = json.loads(line)
        time_s = datetime.fromisoformat(found.pop("time")).timestamp()
        write = _write_of(found) if "pv" in found else None
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, OSError, RecursionError):
        return None
    key = entry_id(server, time_s, offset)
    if write is None:
        text = ", ".join(f"{name}: {_shown(value)}" for name, value in found.items() if value not in ("", None))
        return Entry(key, time_s, server, Level.INFO, "", text)
    level = Level.WARNING if write.is_refused else Level.INFO
    return Entry(key, time_s, server, level, "write", str(write), write)


def _write_of(found: dict[str, Any]) -> Write:
    return Write(
        who=_line(found.get("claimed_user")),
        host=_line(found.get("claimed_host")),
        peer=_line(found.get("peer")),
        pv=_line(found["pv"]),
        old=_shown(found.get("old", "")),
        value=_shown(found.get("new")),
        result=_line(found.get("result")),
    )


def entry_id(server: str, time_s: float, offset: int) -> str:
    return f"{server}@{time_s:.3f}+{offset}"


def printable(text: str) -> str:
    """A text that a terminal cannot take for orders."""
    return text if text.isprintable() else _CONTROL.sub("\N{REPLACEMENT CHARACTER}", text)


def _shown(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return _line(text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}...")


def _line(text: Any) -> str:
    return printable(str(text or "").replace("\n", "\\n"))
