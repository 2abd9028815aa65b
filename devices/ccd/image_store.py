"""Images on their way to the disk: written, or kept until they can be."""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from devices.ccd.file_name import FileType
from devices.ccd.plan import Target
from devices.core.errors import NotAllowedError, reason
from devices.pipelines.ccd.ccd_image import CcdImage

#: So many images that could not be written stay in memory; then no exposure begins.
MOST_UNSAVED: Final = 4

Write = Callable[[CcdImage, Target], None]


@dataclass(frozen=True, eq=False)
class Unsaved:
    """An image that is not where it should be.

    Attributes:
        image: None: only its spool file is left, of before a restart.
        raw: instead of the image, when the words of the controller make none.
        spool: a copy on the disk; None: that could not be written either.
    """

    name: str
    why: str
    target: Target | None
    image: CcdImage | None = None
    raw: NDArray[Any] | None = None
    spool: Path | None = None


class ImageStore:
    """Writes images; those that cannot be written are kept in memory and in a folder of their own."""

    def __init__(self, spool: Path, write: Write, log: logging.Logger) -> None:
        self._spool = spool
        self._write = write
        self._log = log
        self._turn = asyncio.Lock()
        self.unsaved: list[Unsaved] = []

    def find(self) -> None:
        """Find what a process before this one has left in the spool folder."""
        self.unsaved = [each for each in self.unsaved if each.image is not None or each.raw is not None]
        known = {each.spool for each in self.unsaved}
        if self._spool.is_dir():
            for path in sorted(self._spool.iterdir()):
                if path.suffix in (".fits", ".npy") and path not in known:
                    name = path.name.split("_", 1)[-1]
                    self.unsaved.append(Unsaved(name, "left by a process that has ended", None, spool=path))

    def check(self) -> None:
        """Refuse a new image while there is no room for one more that cannot be written.

        Raises:
            NotAllowedError: rescue or discard those that are there first.
        """
        waiting = sum(each.image is not None and each.spool is None for each in self.unsaved)
        if waiting >= MOST_UNSAVED:
            raise NotAllowedError(f"{waiting} images are in memory only; rescue or discard_unsaved comes first")

    async def save(self, image: CcdImage, target: Target) -> None:
        """Write an image; when that fails, keep it.

        Raises:
            OSError, ValueError: why it could not be written.
        """
        try:
            await asyncio.to_thread(self._write, image, target)
        except Exception as error:
            await self.keep(image, target, f"{reason(error)}: {error}")
            raise

    async def keep(
        self, image: CcdImage | None, target: Target | None, why: str, raw: NDArray[Any] | None = None
    ) -> None:
        """Keep what was not written, in memory and, if it goes, in the spool folder."""
        name = "image.fits" if target is None else target.path.name
        entry = Unsaved(name, why, target, image, raw)
        # At once: whoever hears of the failure finds it.
        self.unsaved.append(entry)
        async with self._turn:
            try:
                spool = await asyncio.to_thread(self._spooled, entry)
            except Exception as error:
                self._log.error("%s is kept in memory only: %s: %s", name, reason(error), error)
                return
            self._log.warning("%s is kept as %s: %s", name, spool, why)
            # One copy of those before is enough; the newest stays at hand, whatever becomes of the disk.
            others = [each if each.spool is None else replace(each, image=None, raw=None) for each in self.unsaved]
            self.unsaved = [
                replace(entry, spool=spool) if each is entry else other
                for each, other in zip(self.unsaved, others, strict=True)
            ]

    async def rescue(self, folder: Path) -> list[Path]:
        """Write all that is unsaved into a folder, under names that are free.

        Raises:
            OSError: it still does not go; what is left stays kept.
        """
        written = []
        async with self._turn:
            for entry in list(self.unsaved):
                written.append(await asyncio.to_thread(self._rescued, entry, folder))
                self.unsaved.remove(entry)
        return written

    async def discard(self) -> int:
        """Give up what is unsaved; returns how many."""
        async with self._turn:
            count = len(self.unsaved)
            for entry in self.unsaved:
                if entry.spool is not None:
                    await asyncio.to_thread(entry.spool.unlink, missing_ok=True)
            self.unsaved.clear()
            return count

    def _spooled(self, entry: Unsaved) -> Path:
        self._spool.mkdir(parents=True, exist_ok=True)
        stamp = f"{time.strftime('%Y%m%dT%H%M%S', time.gmtime())}-{time.time_ns() % 10**9:09d}"
        stem = Path(entry.name).stem
        if entry.image is None:
            path = self._spool / f"{stamp}_{stem}.npy"
            assert entry.raw is not None
            np.save(path, entry.raw)
        else:
            path = self._spool / f"{stamp}_{stem}.fits"
            self._write(entry.image, Target(path, FileType.MEF))
        return path

    def _rescued(self, entry: Unsaved, folder: Path) -> Path:
        if entry.image is not None and entry.target is not None:
            path = _free(folder / entry.target.path.name)
            self._write(entry.image, replace(entry.target, path=path, overwrites=False))
        else:
            suffix = ".npy" if entry.spool is None else entry.spool.suffix
            path = _free(folder / (Path(entry.name).stem + suffix))
            if entry.spool is not None:
                _copied(entry.spool, path)
            elif entry.raw is not None:
                np.save(path, entry.raw)
        if entry.spool is not None:
            entry.spool.unlink(missing_ok=True)
        return path


def _copied(source: Path, path: Path) -> None:
    """Under a temporary name first: a disk that is full in the middle leaves no half image behind."""
    temporary = path.with_name(path.name + ".part")
    try:
        shutil.copyfile(source, temporary)
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.rename(path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise


def _free(path: Path) -> Path:
    number = 0
    free = path
    while free.exists():
        number += 1
        free = path.with_name(f"{path.stem}-rescued-{number}{path.suffix}")
    return free


def check_target(target: Target, bytes_needed: int) -> None:
    """Whether an image can go there, as far as can be told before it exists.

    Raises:
        NotAllowedError: the folder is missing or not writable, the file exists, or the disk is too full.
    """
    folder, path = target.path.parent, target.path
    if not folder.is_dir():
        raise NotAllowedError(f"image_folder = {folder} is not a folder")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise NotAllowedError(f"image_folder = {folder} is not writable")
    if path.exists() and not target.overwrites:
        raise NotAllowedError(f"{path} exists, and overwrite is off")
    free = shutil.disk_usage(folder).free
    if free < bytes_needed:
        raise NotAllowedError(f"{folder} has {free} bytes left, the image needs {bytes_needed} bytes")
