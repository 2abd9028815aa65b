"""The journal of a run: which images are done or were given up, and where their results are. It survives its server."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from devices.pipelines.saxs_parameters import IntegralParameters
from devices.saxs.batch import Version

_TABLE: Final = """
CREATE TABLE IF NOT EXISTS image (
    path BLOB PRIMARY KEY, modified_ns INTEGER, size INTEGER, output BLOB, taken REAL, parameters TEXT, why TEXT
)"""


class Entry(NamedTuple):
    """An image of a run.

    Args:
        version: None for an image that was given up before it could be looked at.
        parameters: of each curve.
        why: why the image was given up; "" for one that is done.
    """

    path: str
    version: Version | None
    output: str
    taken: float
    parameters: tuple[IntegralParameters | None, ...] = ()
    why: str = ""


class Journal:
    """A small database beside the run; each method for one thread at a time."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._database = sqlite3.connect(folder / "journal.sqlite", check_same_thread=False)
        self._database.execute("PRAGMA journal_mode = WAL")
        self._database.execute("PRAGMA synchronous = NORMAL")  # a power cut costs the last images, which are done again
        self._database.execute(_TABLE)

    def add(self, entries: Sequence[Entry]) -> None:
        """Note what became of some images; an image that was there before is replaced, as the newest."""
        with self._database:
            self._database.executemany("INSERT OR REPLACE INTO image VALUES (?, ?, ?, ?, ?, ?, ?)", map(_row, entries))

    def entries(self) -> Iterator[Entry]:
        """All images, in the order in which they were noted."""
        for path, modified_ns, size, output, taken, parameters, why in self._database.execute(
            "SELECT path, modified_ns, size, output, taken, parameters, why FROM image ORDER BY rowid"
        ):
            version = None if modified_ns is None else Version(modified_ns, size)
            found = tuple(None if each is None else IntegralParameters(*each) for each in json.loads(parameters))
            yield Entry(os.fsdecode(path), version, os.fsdecode(output), taken, found, why)

    def clear(self) -> None:
        with self._database:
            self._database.execute("DELETE FROM image")

    def close(self) -> None:
        self._database.close()


def _row(entry: Entry) -> tuple[object, ...]:
    modified_ns, size = entry.version or (None, None)
    # Names of files are bytes, which need not be a text.
    path, output = os.fsencode(entry.path), os.fsencode(entry.output)
    why = entry.why.encode(errors="replace").decode()
    return path, modified_ns, size, output, entry.taken, json.dumps(entry.parameters), why
