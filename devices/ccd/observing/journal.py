"""The journal of a script that runs: what is done is on the disk, so that a night goes on after a crash."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from devices.core.errors import StorageError

NAME = "observer.journal"


@dataclass(frozen=True)
class Unfinished:
    """A run that did not come to its end.

    Attributes:
        text: the script as it was. row: the first one that is not finished; images: those of it that are there.
    """

    name: str
    text: str
    on_failure: str
    row: int
    rows: int
    images: int

    def __str__(self) -> str:
        return f"{self.name}: row {self.row} of {self.rows}" + (f", {self.images} images of it" if self.images else "")


class Journal:
    """One file: a line of JSON for the run, each image, each row, the end. A torn last line counts as not written.

    All methods block as long as the disk does, and raise StorageError.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / NAME

    def begin(self, name: str, text: str, on_failure: str, row: int, rows: int, images: int) -> None:
        """A run begins with a row, of which some images are there; the one before is forgotten."""
        entry = {"name": name, "text": text, "on_failure": on_failure, "row": row, "rows": rows, "images": images}
        fresh = self.path.with_suffix(".new")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with fresh.open("wb") as file:
                _write(file.fileno(), {"begin": entry})
            fresh.replace(self.path)
        except OSError as error:
            raise StorageError(f"{self.path} cannot be written: {error.strerror}") from error

    def image(self, row: int, count: int) -> None:
        """So many images of a row are there."""
        self._append({"row": row, "images": count})

    def row(self, row: int) -> None:
        """A row is finished, well or not."""
        self._append({"row": row + 1, "images": 0})

    def end(self) -> None:
        """All rows are."""
        self._append({"end": True})

    def unfinished(self) -> Unfinished | None:
        """The last run, unless it came to its end."""
        try:
            lines = self.path.read_text(encoding="utf-8").split("\n")[:-1]
        except FileNotFoundError:
            return None
        except (OSError, UnicodeError) as error:
            raise StorageError(f"{self.path} cannot be read: {error}") from error
        try:
            entries: list[dict[str, Any]] = [json.loads(line) for line in lines]
            if not entries or "end" in entries[-1]:
                return None
            begin = entries[0]["begin"]
            last = entries[-1] if len(entries) > 1 else begin
            found = Unfinished(
                begin["name"], begin["text"], begin["on_failure"], last["row"], begin["rows"], last["images"]
            )
        except (ValueError, KeyError, TypeError) as error:
            raise StorageError(f"{self.path} is damaged: {error!r}; remove it") from error
        return found if found.row <= found.rows else None

    def _append(self, entry: dict[str, Any]) -> None:
        try:
            descriptor = os.open(self.path, os.O_WRONLY | os.O_APPEND)
            try:
                _write(descriptor, entry)
            finally:
                os.close(descriptor)
        except OSError as error:
            raise StorageError(f"{self.path} cannot be written: {error.strerror}") from error


def _write(descriptor: int, entry: dict[str, Any]) -> None:
    os.write(descriptor, json.dumps(entry).encode() + b"\n")
    os.fsync(descriptor)
