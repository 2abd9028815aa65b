"""Frames from the files that a recorder is writing, as the operating system tells of them (inotify)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Iterable
from pathlib import Path
from typing import Final

import watchfiles

from devices.core.errors import NotConnectedError
from devices.daq.frame import Frame
from devices.daq.sources.growing_files import GrowingFiles
from devices.daq.sources.source import Source
from devices.drivers.observing_run import ObservingData, RunFile

logging.getLogger("watchfiles").setLevel(logging.WARNING)  # it tells of every change

STEP_MS: Final = 5
LONGEST_MS: Final = 20
#: How often it is seen whether the folder is still there, and whether new folders were filled before their watch began.
LOOK_MS: Final = 200
POLL_SECONDS: Final = 0.02
#: So often are new runs and files looked for where one polls.
POLL_RUNS: Final = 50
RETRY_SECONDS: Final = 0.5


class RunDirectory(Source):
    """Every frame that is appended to a file below the data folder: of all modules and runs, also of those to come.

    What the files held at the begin is not published: a restart shows what comes from now on.

    Args:
        modules: empty: all.
        from_start: publish what the newest run of each module holds already, too.
        polls: look again and again; for file systems that other machines write to and tell nothing.
    """

    def __init__(
        self,
        publish: Callable[[Frame], None],
        data_dir: Path,
        *,
        modules: Iterable[int] = (),
        from_start: bool = False,
        polls: bool = False,
    ) -> None:
        super().__init__(publish)
        self._data = ObservingData(data_dir)
        self._files = GrowingFiles(self._data, self._put, frozenset(modules))
        self._from_start = from_start
        self._polls = polls
        self._new_folders: set[Path] = set()

    async def run(self) -> None:
        """Publish until cancelled; raises NotConnectedError when there is no data folder at the begin."""
        await asyncio.to_thread(self._begin)
        self.ready.set()
        while True:
            try:
                async for files in self._polled() if self._polls else self._watched():
                    await self._files.read(files)
                    self.problem = self._files.problem
                    self.skipped_bytes = self._files.skipped_bytes
                    if self._files.run is not None:
                        self.run_name = self._files.run.name
            except NotConnectedError as error:
                self.problem = str(error)
                await asyncio.sleep(RETRY_SECONDS)

    def _begin(self) -> None:
        files = list(self._data.all_files())
        self.run_name = self._data.newest_run_name()
        runs = set(self._data.newest_runs().values()) if self._from_start else set()
        self._files.remember(file for file in files if file.path.parent not in runs)

    async def _watched(self) -> AsyncGenerator[list[RunFile], None]:
        """Files that have changed, some at a time; first those that did before the watch began."""
        identity = _identity(self._data.folder)
        changes = watchfiles.awatch(
            self._data.folder,
            watch_filter=_concerns_frames,
            step=STEP_MS,
            debounce=LONGEST_MS,
            rust_timeout=LOOK_MS,
            yield_on_timeout=True,
        )
        is_first = True
        try:
            async for found in changes:
                yield await asyncio.to_thread(self._concerned, {Path(path) for _, path in found}, is_first, identity)
                is_first = False
        except NotConnectedError:
            raise
        except (OSError, RuntimeError) as error:  # what watchfiles raises, as when there are too many folders
            raise NotConnectedError(f"the data folder {self._data.folder} cannot be watched: {error}") from error
        finally:
            await changes.aclose()

    def _concerned(self, paths: set[Path], is_first: bool, identity: tuple[int, int]) -> list[RunFile]:
        """The files of changes that hold something new, in the order in which a recorder fills them."""
        if _identity(self._data.folder) != identity:
            raise NotConnectedError(f"the data folder {self._data.folder} was replaced")
        if is_first:
            return self._files.changed(self._data.all_files())
        found = {file.path: file for file in map(self._data.file, paths) if file is not None}
        folders = {path for path in paths - found.keys() if path.is_dir()}
        for folder in folders | self._new_folders:
            found |= {file.path: file for file in self._data.files_below(folder)}
        self._new_folders = folders
        in_order = sorted(found.values(), key=lambda file: (file.module, file.product, file.seqno, file.path))
        return self._files.changed(in_order)

    async def _polled(self) -> AsyncGenerator[list[RunFile], None]:
        """The same, by looking at the sizes of what grows all the time, and at the newest runs now and then."""
        yield await asyncio.to_thread(lambda: self._files.changed(self._data.all_files()))
        while True:
            for turn in range(POLL_RUNS):
                await asyncio.sleep(POLL_SECONDS)
                yield await asyncio.to_thread(self._grown, turn == 0)

    def _grown(self, looks_for_new: bool) -> list[RunFile]:
        self._data.check()
        files = self._files.growing()
        if looks_for_new:
            # Two of each module: the last frames of a run may come when the next one has begun.
            runs = [run for module in self._data.modules() for run in self._data.runs(module)[-2:]]
            files += [file for run in runs for file in self._data.files(run)]
        found = {file.path: file for file in files}.values()
        in_order = sorted(found, key=lambda file: (file.module, file.product, file.seqno, file.path))
        return self._files.changed(in_order)


def _concerns_frames(change: watchfiles.Change, path: str) -> bool:
    """Files of frames, and what may be a new folder."""
    if path.endswith(".pff"):
        return change is not watchfiles.Change.deleted
    return change is watchfiles.Change.added and not Path(path).name.startswith(".")


def _identity(folder: Path) -> tuple[int, int]:
    try:
        status = folder.stat()
    except OSError as error:
        raise NotConnectedError(f"the data folder {folder} cannot be read: {error.strerror}") from error
    return status.st_dev, status.st_ino
