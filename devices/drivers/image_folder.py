"""A folder into which a detector writes image files: which of them are new and complete."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from devices.core.errors import NotConnectedError

SUFFIXES = (".tif", ".tiff", ".cbf", ".edf")


class Version(NamedTuple):
    """What changes when a file is written to or replaced."""

    modified_ns: int
    size: int
    inode: int


@dataclass
class _Known:
    version: Version
    attempts: int = 0
    #: Whether the file is to be handed out when it is seen unchanged.
    due: bool = True


class ImageFolder:
    """Hands out every version of every image file once.

    A file is complete when two looks find it unchanged and not empty. Of the files that are there at the first look
    only the newest is handed out: a restart shows where the measurement stands and does not begin it anew.
    """

    def __init__(self, folder: Path, attempts: int) -> None:
        """Prepare; nothing is read yet.

        Args:
            attempts: how often a file is handed out at most, when :meth:`failed` asks for it again.
        """
        self.folder = folder
        self.attempts = attempts
        self._known: dict[Path, _Known] | None = None

    def look(self) -> dict[Path, Version]:
        """The image files in the folder; blocks as long as the file system does.

        Raises:
            NotConnectedError: the folder is missing or cannot be read.
        """
        found = {}
        try:
            with os.scandir(self.folder) as entries:
                for entry in entries:
                    if entry.name.startswith(".") or not entry.name.lower().endswith(SUFFIXES):
                        continue
                    try:
                        status = entry.stat()
                    except OSError:
                        continue  # removed meanwhile, or a link to nothing: no reason to lose the others
                    if stat.S_ISREG(status.st_mode):
                        version = Version(status.st_mtime_ns, status.st_size, status.st_ino)
                        found[self.folder / entry.name] = version
        except OSError as error:
            raise NotConnectedError(f"the image folder {self.folder} cannot be read: {error.strerror}") from error
        return found

    def compare(self, found: Mapping[Path, Version]) -> Sequence[Path]:
        """What is new and complete after a :meth:`look`, oldest first."""
        if self._known is None:
            self._known = {path: _Known(version, due=False) for path, version in found.items()}
            if found:
                self._known[max(found, key=lambda path: (found[path], path))].due = True
            return []
        ready = []
        for path, version in found.items():
            known = self._known.get(path)
            if known is None or known.version != version:
                self._known[path] = _Known(version)
            elif known.due and version.size:
                known.due = False
                known.attempts += 1
                ready.append(path)
        for path in self._known.keys() - found.keys():
            del self._known[path]
        return sorted(ready, key=lambda path: (found[path], path))

    def failed(self, path: Path) -> bool:
        """A file that was handed out could not be used; whether the next look hands it out again."""
        known = (self._known or {}).get(path)
        if known is None or known.attempts >= self.attempts:
            return False
        known.due = True
        return True

    def interrupted(self, path: Path) -> None:
        """A file that was handed out has not been tried to the end: the next look hands it out again."""
        known = (self._known or {}).get(path)
        if known is not None:
            known.attempts, known.due = known.attempts - 1, True
