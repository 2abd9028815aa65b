"""Frames from files, of which the recorder tells through a FIFO in the folder of each run.

A message has 10 bytes: the name of a data product, filled up with blanks; files of that product have grown.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import stat
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

from devices.core.errors import NotConnectedError
from devices.daq.frame import Frame
from devices.daq.sources.growing_files import GrowingFiles
from devices.daq.sources.source import Source
from devices.drivers.observing_run import STATUS_PIPE, ObservingData, RunFile
from devices.drivers.pff import PRODUCTS

MESSAGE_BYTES: Final = 10
#: So often are runs looked for that are new.
LOOK_SECONDS: Final = 0.5


class StatusPipe(Source):
    """Every frame that is appended to files of runs with a status pipe, as soon as the recorder tells so.

    What the files held at the begin is not published.

    Args:
        modules: empty: all.
        name: of the FIFO in the folder of a run.
    """

    def __init__(
        self,
        publish: Callable[[Frame], None],
        data_dir: Path,
        *,
        modules: Iterable[int] = (),
        name: str = STATUS_PIPE,
    ) -> None:
        super().__init__(publish)
        self._data = ObservingData(data_dir)
        self._modules = frozenset(modules)
        self._files = GrowingFiles(self._data, self._put, self._modules)
        self._name = name
        self._pipes: dict[Path, _Pipe] = {}
        self._grown: set[tuple[Path, str]] = set()
        self._told = asyncio.Event()
        self._skipped_in_pipes = 0

    async def run(self) -> None:
        """Publish until cancelled; raises NotConnectedError when there is no data folder at the begin."""
        await asyncio.to_thread(lambda: self._files.remember(self._data.all_files()))
        self.run_name = await asyncio.to_thread(self._data.newest_run_name)
        looking = asyncio.create_task(self._look())
        try:
            while True:
                await self._told.wait()
                self._told.clear()
                await self._read()
                self.ready.set()
        finally:
            looking.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await looking
            for pipe in self._pipes.values():
                pipe.close()
            self._pipes.clear()

    async def _look(self) -> None:
        """Open the pipes of new runs and close those that are gone."""
        while True:
            try:
                found = await asyncio.to_thread(self._find)
            except NotConnectedError as error:
                self.problem = str(error)
            else:
                self._keep(found)
                missing = "" if self._pipes else f"no run below {self._data.folder} has a pipe {self._name}"
                self.problem = missing or self._files.problem
                if not self.ready.is_set():
                    self._told.set()
            await asyncio.sleep(LOOK_SECONDS)

    def _find(self) -> dict[Path, int]:
        """The newest runs that have a pipe, each with the number of its file."""
        found = {}
        for module, run in self._data.newest_runs().items():
            if not self._modules or module in self._modules:
                with contextlib.suppress(OSError):  # it has none
                    status = os.lstat(run / self._name)
                    if stat.S_ISFIFO(status.st_mode):
                        found[run] = status.st_ino
        return found

    def _keep(self, found: dict[Path, int]) -> None:
        for run in [run for run, pipe in self._pipes.items() if found.get(run) != pipe.inode]:
            self._pipes.pop(run).close()
            self._tell(run, set(PRODUCTS))  # what may stand in it still
        for run in found.keys() - self._pipes.keys():
            with contextlib.suppress(OSError):  # removed meanwhile
                self._pipes[run] = _Pipe(run / self._name, functools.partial(self._tell, run))
                self._tell(run, set(PRODUCTS))  # what was told to nobody

    def _tell(self, run: Path, names: set[str], skipped: int = 0) -> None:
        self._grown |= {(run, name) for name in names}
        self._skipped_in_pipes += skipped
        self._told.set()

    async def _read(self) -> None:
        grown, self._grown = self._grown, set()
        for run in sorted({run for run, _ in grown}):
            names = {name for at, name in grown if at == run}
            await self._files.read(await asyncio.to_thread(self._changed, run, names))
        self.skipped_bytes = self._files.skipped_bytes + self._skipped_in_pipes
        if self._files.run is not None:
            self.run_name = self._files.run.name

    def _changed(self, run: Path, names: set[str]) -> list[RunFile]:
        return self._files.changed(file for file in self._data.files(run) if file.product in names)


class _Pipe:
    """The end of a FIFO from which one reads.

    It is open for writing, too: so it never ends when a writer goes away, and a writer that opens it finds a reader.
    """

    def __init__(self, path: Path, tell: Callable[[set[str], int], None]) -> None:
        self._tell = tell
        self._rest = b""
        self._file = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        self.inode = os.fstat(self._file).st_ino
        asyncio.get_running_loop().add_reader(self._file, self._read)

    def close(self) -> None:
        asyncio.get_running_loop().remove_reader(self._file)
        os.close(self._file)

    def _read(self) -> None:
        try:
            data = self._rest + os.read(self._file, 1 << 16)
        except BlockingIOError:  # somebody else reads it, too
            return
        names, skipped, at = set(), 0, 0
        while at + MESSAGE_BYTES <= len(data):
            name = data[at : at + MESSAGE_BYTES].rstrip(b" ").decode("latin-1")
            if name in PRODUCTS:
                names.add(name)
                at += MESSAGE_BYTES
            else:  # no message begins here
                skipped += 1
                at += 1
        self._rest = data[at:]
        self._tell(names, skipped)
