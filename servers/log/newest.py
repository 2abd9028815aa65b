"""The newest entries of a log, read from the ends of its files."""

from __future__ import annotations

import heapq
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from servers.log.entry import Entry
from servers.log.folder import Series, series_of
from servers.log.parser import Parser, begins_entry
from servers.log.question import Question

BLOCK_BYTES: Final = 65_536
LONGEST_BYTES: Final = 1 << 20  # of one entry; longer ones are cut where a block ends
QUIET_S: Final = 1.0  # a line without an end is one when nothing was added for so long
ASTRAY_S: Final = 60.0  # by how much the times of a file may go back


@dataclass(slots=True)
class Budget:
    """How much may still be read, bytes; shared by all files of one question."""

    left: float = float("inf")


@dataclass(frozen=True)
class Answer:
    """Entries, the newest first; ``is_complete``: there are no older ones that were not looked at."""

    entries: list[Entry]
    is_complete: bool


def newest(folder: Path, question: Question, count: int, limit_bytes: float = float("inf")) -> Answer:
    """The newest ``count`` entries that are wanted.

    Args:
        limit_bytes: so much is read at most.
    """
    budget = Budget(limit_bytes)
    wanted = [series for series in series_of(folder) if question.may_be_in(series)]
    found: list[Entry] = []
    for entry in heapq.merge(
        *(_backwards(series, question, budget) for series in wanted), key=lambda entry: entry.time_s, reverse=True
    ):
        if question.matches(entry):
            found.append(entry)
            if len(found) == count:
                break
    found.sort(key=lambda entry: entry.time_s, reverse=True)
    return Answer(found, budget.left > 0)


def _backwards(series: Series, question: Question, budget: Budget) -> Iterator[Entry]:
    for path in series.files():
        try:
            with path.open("rb") as file:
                state = os.fstat(file.fileno())
                if state.st_mtime < question.since_s - ASTRAY_S:
                    return
                for entry in _of_file(file, series, state.st_size, state.st_mtime, question, budget):
                    if entry.time_s < question.since_s - ASTRAY_S:
                        return
                    yield entry
        except OSError:
            continue  # it was set aside just now


def _of_file(
    file: BinaryIO, series: Series, size: int, changed_s: float, question: Question, budget: Budget
) -> Iterator[Entry]:
    """The entries of one file from its end on: of each block what begins in it, the rest goes with the block before.

    Of a block that has nothing of what is wanted there is the first entry, which says how old it is.
    """
    begin, rest = size, b""
    is_end = True
    while begin > 0 and budget.left > 0:
        end, begin = begin, max(0, begin - BLOCK_BYTES)
        file.seek(begin)
        data = file.read(end - begin)
        budget.left -= len(data)
        if is_end:
            is_end = False
            if time.time() - changed_s < QUIET_S:  # somebody may be writing the last line
                data = data[: data.rfind(b"\n") + 1]
        data += rest
        start = 0 if begin == 0 else _first_entry(data, series.is_audit)
        if start is None and len(data) < LONGEST_BYTES:
            rest = data
            continue
        start = start or 0
        rest = data[:start]
        whole = data[start:]
        if not question.may_be_among(whole, series.server):
            whole = whole[: whole.find(b"\n") + 1]
        parser = Parser(series.server, offset=begin + start, time_s=changed_s, is_audit=series.is_audit)
        yield from reversed([*parser.feed(whole), *parser.finish()])


def _first_entry(data: bytes, is_audit: bool) -> int | None:
    """Where the first entry begins that is whole."""
    at = data.find(b"\n") + 1
    while 0 < at < len(data):
        end = data.find(b"\n", at)
        if is_audit or begins_entry(data[at : end if end >= 0 else len(data)]):
            return at
        at = end + 1
    return None
