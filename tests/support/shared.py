"""What the tests of a folder share ends with them, not with the session: it would only take time from the others."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

_ends: dict[Path, list[Callable[[], object]]] = {}


def end_with(folder: Path, end: Callable[[], object]) -> None:
    """Have something called after the last test of a folder on this worker; once."""
    _ends.setdefault(folder, []).append(end)


def left(folder: Path) -> None:
    """The last test of a folder is over."""
    for end in _ends.pop(folder, []):
        end()
