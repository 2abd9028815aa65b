"""Image files that appear or change below a folder, as the operating system tells it (inotify)."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from collections.abc import AsyncGenerator, Iterator
from pathlib import Path
from typing import Final

import watchfiles

from devices.core.errors import NotConnectedError
from devices.drivers.image_folder import SUFFIXES

logging.getLogger("watchfiles").setLevel(logging.WARNING)  # it tells of every change

STEP_MS: Final = 20  # a file that is being written is handed out when nothing came for so long
LONGEST_MS: Final = 100
LOOK_MS: Final = 200  # whether the folder is still there


async def changed_images(folder: Path, *, polls: bool = False) -> AsyncGenerator[list[str], None]:
    """Images that appear or change, some at a time, without end.

    The first answer, perhaps of none, says that from now on nothing is missed.

    Args:
        polls: look again and again; for file systems that other machines write to and tell nothing.
    Raises:
        NotConnectedError: the folder is missing or goes away.
    """
    identity = check_folder(folder)
    changes = watchfiles.awatch(
        folder,
        watch_filter=_concerns_images,
        step=STEP_MS,
        debounce=LONGEST_MS,
        rust_timeout=LOOK_MS,
        yield_on_timeout=True,
        force_polling=polls,
    )
    is_first = True
    try:
        async for found in changes:
            if await asyncio.to_thread(check_folder, folder) != identity:
                raise NotConnectedError(f"the image folder {folder} was replaced")
            if found or is_first:
                is_first = False
                images = {path for _, path in found if is_image(path)}
                others = [path for _, path in found if path not in images]
                yield sorted(images.union(await asyncio.to_thread(_images_in_folders, others)))
    except OSError as error:
        if isinstance(error, NotConnectedError):
            raise
        raise NotConnectedError(f"the image folder {folder} cannot be watched: {error}") from error
    finally:
        await changes.aclose()


def _concerns_images(change: watchfiles.Change, path: str) -> bool:
    """Images, and what may be a new folder: images that come into it before it is watched are told by nobody."""
    if is_image(path):
        return change is not watchfiles.Change.deleted
    return change is watchfiles.Change.added and not os.path.basename(path).startswith(".")


def _images_in_folders(paths: list[str]) -> list[str]:
    """The images below those of the paths that are folders."""
    found = []
    for path in paths:
        with contextlib.suppress(NotConnectedError):  # removed meanwhile
            found += [image for some in images_below(Path(path)) for image in some] if os.path.isdir(path) else []
    return found


def images_below(folder: Path) -> Iterator[list[str]]:
    """All images below a folder, folder by folder, each sorted by name.

    Raises:
        NotConnectedError: the folder is missing or cannot be read.
    """
    check_folder(folder)
    for root, folders, files in os.walk(folder):
        folders[:] = sorted(each for each in folders if not each.startswith("."))
        found = [os.path.join(root, name) for name in sorted(files) if is_image(name)]
        if found:
            yield found


def is_image(path: str) -> bool:
    """Whether a name is one of an image; hidden files are on their way to another name."""
    name = os.path.basename(path)
    return not name.startswith(".") and name.lower().endswith(SUFFIXES)


def check_folder(folder: Path) -> tuple[int, int]:
    """Which folder it is, as its file system tells it.

    Raises:
        NotConnectedError: it is missing.
    """
    try:
        status = os.stat(folder)
    except OSError as error:
        raise NotConnectedError(f"the image folder {folder} cannot be read: {error.strerror}") from error
    return status.st_dev, status.st_ino
