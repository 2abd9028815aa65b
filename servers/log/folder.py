"""The files of a log: which there are, and what was set aside of each."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

AUDIT: Final = ".jsonl"
ENDINGS: Final = (".log", AUDIT)
MAX_ASIDE: Final = 20


@dataclass(frozen=True)
class Series:
    """The file that a process writes, and those with what was before: ``NAME.log``, ``NAME.log.1``, ..."""

    path: Path

    @property
    def server(self) -> str:
        return self.path.name.removesuffix(self.path.suffix)

    @property
    def is_audit(self) -> bool:
        return self.path.suffix == AUDIT

    def files(self) -> Iterator[Path]:
        """The newest first."""
        yield self.path
        for number in range(1, MAX_ASIDE + 1):
            aside = self.path.with_name(f"{self.path.name}.{number}")
            if not aside.exists():
                return
            yield aside


def series_of(folder: Path) -> list[Series]:
    """All logs of a folder; none when there is no folder."""
    try:
        return [Series(path) for path in sorted(folder.iterdir()) if path.suffix in ENDINGS and path.is_file()]
    except OSError:
        return []
