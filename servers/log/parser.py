"""From the bytes of a log file to entries, however the bytes were cut."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from servers.log.entry import SPELLINGS, Entry, Level, entry_id, entry_of_audit, printable

LINE_BYTES: Final = 16_384  # of one line that are kept
TEXT_LINES: Final = 200  # of one entry that are kept
TEXT_CHARACTERS: Final = 20_000
MOST_UNDATED: Final = 1000  # entries that wait for one that says its time

_DATED: Final = re.compile(r"(\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d{1,9})?(?:Z|[+-]\d\d:?\d\d)?) ")
_LEVEL: Final = re.compile(rf"({'|'.join(SPELLINGS)}) +(\S+?)(?:: | |:?$)")
#: Lines that begin an entry although nothing dates them: what interpreters and libraries print by themselves.
_PLAIN_HEADS: Final = (
    (re.compile(r"Ready to accept request"), Level.INFO),
    (re.compile(r"Fatal Python error:|Timeout \(\d+:\d\d:\d\d\)!|Segmentation fault|terminate called"), Level.CRITICAL),
    (re.compile(r"Exception in thread |error: "), Level.ERROR),
)
_TRACEBACK: Final = "Traceback (most recent call last)"


@dataclass(slots=True)
class _Open:
    """The entry whose lines are still coming."""

    offset: int
    time_s: float | None
    level: Level
    source: str
    lines: list[str] = field(default_factory=list)
    characters: int = 0
    left_out: int = 0

    def add(self, line: str) -> None:
        if len(self.lines) >= TEXT_LINES or self.characters + len(line) > TEXT_CHARACTERS:
            self.left_out += 1
        else:
            self.lines.append(line)
            self.characters += len(line)

    def entry(self, server: str, otherwise_s: float) -> Entry:
        time_s = otherwise_s if self.time_s is None else self.time_s
        text = "\n".join(self.lines).rstrip()
        if self.left_out:
            text += f"\n... {self.left_out} lines more"
        return Entry(entry_id(server, time_s, self.offset), time_s, server, self.level, self.source, text)


class Parser:
    """Reads one file from some place on.

    Args:
        server: the process that wrote it.
        offset: of the first byte in the file.
        time_s: of entries without a time before and after them.
        is_audit: whether each line is JSON of the audit.
    """

    def __init__(self, server: str, *, offset: int = 0, time_s: float = 0.0, is_audit: bool = False) -> None:
        self.server, self.is_audit = server, is_audit
        self._line = bytearray()
        self._length = 0
        self._offset = offset
        self.time_s = time_s
        self._open: _Open | None = None
        #: Complete; what has no time gets that of the next one that says it.
        self._complete: list[_Open] = []
        #: What a line belongs to that comes when its entry was given out already.
        self._last = _Open(offset, None, Level.INFO, "")

    @property
    def is_idle(self) -> bool:
        """Whether nothing waits for a `flush`."""
        return self._open is None and not self._complete

    def feed(self, data: bytes) -> Iterator[Entry]:
        """The entries that these bytes complete; the last one stays open for more lines."""
        begin = 0
        while (end := data.find(b"\n", begin)) >= 0:
            self._add(data, begin, end)
            line, offset = self._line.decode(errors="replace").rstrip("\r"), self._offset
            self._offset += self._length + 1
            self._line.clear()
            self._length = 0
            yield from self._take(printable(line), offset)
            begin = end + 1
        self._add(data, begin, len(data))

    def flush(self) -> Iterator[Entry]:
        """Give out the entry that is open; lines of it that come later make another of the same kind."""
        self._close()
        yield from self._dated_by(self.time_s)

    def finish(self) -> Iterator[Entry]:
        """The end of the file is the end of its last line, too."""
        if self._length:
            yield from self.feed(b"\n")
        yield from self.flush()

    def _add(self, data: bytes, begin: int, end: int) -> None:
        self._line += data[begin : min(end, begin + LINE_BYTES - len(self._line))]
        self._length += end - begin

    def _take(self, line: str, offset: int) -> Iterator[Entry]:
        if self.is_audit:
            found = entry_of_audit(line, self.server, offset)
            if found is not None:
                yield found
            return
        opened = _dated(line, offset) or self._plain(line, offset)
        if opened is not None:
            self._close()
            if opened.time_s is not None:
                yield from self._dated_by(opened.time_s)
            elif len(self._complete) >= MOST_UNDATED:
                yield from self._dated_by(self.time_s)
            self._open = opened
        elif self._open is not None:
            self._open.add(line.removeprefix("  "))
        elif line.strip():
            last = self._last
            self._open = _Open(offset, last.time_s, last.level, last.source)
            self._open.add(line.removeprefix("  "))

    def _close(self) -> None:
        if self._open is not None:
            self._last, self._open = self._open, None
            self._complete.append(self._last)

    def _dated_by(self, time_s: float) -> Iterator[Entry]:
        complete, self._complete = self._complete, []
        for each in complete:
            yield each.entry(self.server, time_s)

    def _plain(self, line: str, offset: int) -> _Open | None:
        before = self._open or self._last
        level = next((level for head, level in _PLAIN_HEADS if head.match(line)), None)
        # A traceback belongs to the error that was logged above it, unless none was.
        if level is None and line.startswith(_TRACEBACK) and before.level < Level.WARNING:
            level = Level.ERROR
        if level is None:
            return None
        opened = _Open(offset, before.time_s, level, "")
        opened.add(line)
        return opened


def begins_entry(line: bytes) -> bool:
    """Whether a line begins an entry by itself, whatever is above it."""
    return _dated(line.decode(errors="replace"), 0) is not None


def _dated(line: str, offset: int) -> _Open | None:
    found = _DATED.match(line)
    if found is None:
        return None
    try:
        time_s = datetime.fromisoformat(found[1]).timestamp()
    except (ValueError, OverflowError, OSError):
        return None
    rest = line[found.end() :]
    level, source = Level.INFO, ""
    if said := _LEVEL.match(rest):
        level, source, rest = SPELLINGS[said[1]], said[2].removeprefix("diptych."), rest[said.end() :]
    opened = _Open(offset, time_s, level, source)
    opened.add(rest)
    return opened
