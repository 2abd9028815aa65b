"""Names of candidates: the day as yymmdd and four letters, none given twice, also over restarts."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from devices.core.errors import RangeError
from devices.drivers.candidate_record import is_name

STATE_FILE: Final = "last_names.txt"
LETTERS: Final = 4
#: Names of a day.
MOST: Final = 26**LETTERS
#: Days whose last name is kept.
MOST_DAYS: Final = 1000


class CandidateNames:
    """Gives names in order: 261121aaaa, 261121aaab, ...

    The last one of each day is kept in the results folder, as old candidates are removed from it; those of files that
    are there count, too.

    Args:
        folder: of the results; it is made.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._last: dict[str, str] = {}
        for name in sorted([*self._kept(), *self._in_files()]):
            self._last[name[:6]] = name

    def next(self, isot: str) -> str:
        """The next name of the day of a time like ``2026-11-21T03:12:04.215``.

        Raises:
            RangeError: all names of the day were given.
        """
        day = isot[2:4] + isot[5:7] + isot[8:10]
        used = _number(self._last[day]) + 1 if day in self._last else 0
        if used >= MOST:
            raise RangeError(f"all {MOST} names of the day {day} were given")
        letters = "".join(chr(ord("a") + used // 26**place % 26) for place in reversed(range(LETTERS)))
        self._last[day] = day + letters
        part = self._folder / f".{STATE_FILE}.part"
        part.write_text("\n".join(sorted(self._last.values())[-MOST_DAYS:]) + "\n", encoding="ascii")
        os.replace(part, self._folder / STATE_FILE)
        return self._last[day]

    def _kept(self) -> list[str]:
        path = self._folder / STATE_FILE
        lines = path.read_text(encoding="ascii", errors="replace").splitlines() if path.is_file() else []
        return [line for line in lines if is_name(line)]

    def _in_files(self) -> list[str]:
        return [path.stem for path in self._folder.glob("*/*/*.json") if is_name(path.stem)]


def _number(name: str) -> int:
    number = 0
    for letter in name[-LETTERS:]:
        number = number * 26 + ord(letter) - ord("a")
    return number
