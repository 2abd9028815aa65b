"""The tree of PANOSETI runs on a recorder's disk: ``DATA/module_ID/RUN/FILE.pff``.

A run is ``obs_OBSERVATORY.start_TIME.runtype_KIND.pffd``; a simulated one is ``obs_SIMULATE``. A module's newest run is
the one whose folder changed last, for its recorder makes files in it.

Source: names as the PANOSETI recorder hashpipe writes them.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from devices.core.errors import BadValueError, NotAllowedError, NotConnectedError
from devices.drivers.allowed_folders import AllowedFolders
from devices.drivers.pff import PRODUCTS
from devices.drivers.pff_file import PffName

MAX_MODULE: Final = 0xFFFF  # 16 bits on the sockets of the recorder
STATUS_PIPE: Final = "read_status_2"
_MODULE: Final = re.compile(r"module_(\d{1,5})")
_RANGE: Final = re.compile(r"\s*(\d{1,5})(?:\s*-\s*(\d{1,5}))?\s*")
_TIME: Final = "%Y-%m-%dT%H:%M:%SZ"


def module_numbers(given: object) -> tuple[int, ...]:
    """Numbers of modules as configurations have them: ``[1, 3]``, ``"0-255"``, ``"1,5-8"``; each once.

    Raises:
        BadValueError: none of these, or a number above 65535.
    """
    words = list(given) if isinstance(given, Sequence) and not isinstance(given, str) else str(given).split(",")
    found: list[int] = []
    for word in words:
        match = _RANGE.fullmatch(str(word))
        first, last = (int(match[1]), int(match[2] or match[1])) if match else (1, 0)
        if not first <= last <= MAX_MODULE:
            raise BadValueError(f'{given} are not numbers and ranges up to {MAX_MODULE}, such as "1,5-8"')
        found += range(first, last + 1)
    return tuple(dict.fromkeys(found))


@dataclass(frozen=True)
class RunName:
    """What the name of a run says; ``started`` is UTC, None when it is not said."""

    observatory: str
    started: datetime | None = None
    kind: str = ""

    def __str__(self) -> str:
        if self.started is None:
            return f"obs_{self.observatory}"
        return f"obs_{self.observatory}.start_{time_text(self.started)}.runtype_{self.kind}.pffd"

    @classmethod
    def parse(cls, name: str) -> RunName | None:
        """None for a folder of another kind."""
        parts = dict(part.partition("_")[::2] for part in name.removesuffix(".pffd").split("."))
        if not name.startswith("obs_"):
            return None
        try:
            started = parse_time(parts["start"]) if "start" in parts else None
        except BadValueError:
            return None
        return cls(parts["obs"], started, parts.get("runtype", ""))


def time_text(when: datetime) -> str:
    """A time as it stands in names, ``2024-07-25T04:34:06Z``."""
    return when.astimezone(UTC).strftime(_TIME)


def parse_time(text: str) -> datetime:
    """A time from a name, UTC; in some names colons are underscores.

    Raises:
        BadValueError: it is none.
    """
    try:
        return datetime.strptime(text.replace("_", ":"), _TIME).replace(tzinfo=UTC)
    except ValueError:
        raise BadValueError(f"start = {text!r} is not a time such as 2024-07-25T04:34:06Z") from None


@dataclass(frozen=True)
class RunFile:
    """A file of frames: whose they are, of what, and which one of its run it is."""

    path: Path
    module: int
    product: str
    seqno: int


class ObservingData:
    """What lies below a recorder's data folder; links to folders, and files elsewhere, are left alone.

    All methods block as long as the disk does, and raise NotConnectedError when the folder is missing.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = Path(os.path.realpath(folder))
        self._allowed = AllowedFolders([self.folder])

    def check(self) -> None:
        """Raises NotConnectedError: there is no such folder."""
        if not self.folder.is_dir():
            raise NotConnectedError(f"the data folder {self.folder} is missing, or is no folder")

    def modules(self) -> dict[int, Path]:
        """The folders of modules by number."""
        found = {}
        for path in self._folders(self.folder):
            match = _MODULE.fullmatch(path.name)
            if match and int(match[1]) <= MAX_MODULE:
                found[int(match[1])] = path
        return dict(sorted(found.items()))

    def runs(self, module: int) -> list[Path]:
        """The runs of a module, the newest last."""
        runs = [path for path in self._folders(self.folder / f"module_{module}") if RunName.parse(path.name)]
        return sorted(runs, key=lambda path: (_changed_ns(path), path.name))

    def newest_runs(self) -> dict[int, Path]:
        """The run of each module into which its recorder wrote last."""
        return {module: runs[-1] for module in self.modules() if (runs := self.runs(module))}

    def newest_run_name(self) -> str:
        """The name of the run into which a recorder wrote last, of whichever module; empty: there is none."""
        runs = self.newest_runs().values()
        return max(runs, key=lambda path: (_changed_ns(path), path.name)).name if runs else ""

    def files(self, run: Path) -> list[RunFile]:
        """The files of frames in a folder, by module, data product and number."""
        try:
            found = [self.file(run / name) for name in os.listdir(run)]
        except OSError:
            return []  # removed meanwhile
        return sorted(filter(None, found), key=lambda each: (each.module, each.product, each.seqno, each.path))

    def all_files(self) -> Iterator[RunFile]:
        """Every file of frames in the tree."""
        self.check()
        return self.files_below(self.folder)

    def files_below(self, folder: Path) -> Iterator[RunFile]:
        """Every file of frames in a folder and those within."""
        yield from self.files(folder)
        for each in self._folders(folder):
            yield from self.files_below(each)

    def file(self, path: Path) -> RunFile | None:
        """What a file is; None when it holds no frames of a known data product, or lies elsewhere.

        Which module it is of stands in its name, or in the folder's.
        """
        name = PffName.parse(path.name)
        if name is None or name.product not in PRODUCTS or path.name.startswith(".") or not self._is_inside(path):
            return None
        module = name.module
        if ".module_" not in path.name:
            numbers = [_MODULE.fullmatch(part) for part in path.relative_to(self.folder).parts[:-1]]
            module = next((int(match[1]) for match in numbers if match), 0)
        return RunFile(path, module, name.product, name.seqno) if module <= MAX_MODULE else None

    def _folders(self, folder: Path) -> list[Path]:
        self.check()
        try:
            # A link to a folder may lead back to where one comes from.
            found = [Path(entry.path) for entry in os.scandir(folder) if entry.is_dir(follow_symlinks=False)]
        except OSError:
            return []  # removed meanwhile
        return sorted(path for path in found if not path.name.startswith("."))

    def _is_inside(self, path: Path) -> bool:
        if not path.is_relative_to(self.folder):
            return False
        try:
            self._allowed.resolve(path)
        except NotAllowedError:
            return False
        return True


def _changed_ns(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0
