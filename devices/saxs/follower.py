"""Has the queue take the images that appear in its folder, also after the folder was away."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Callable
from typing import Final

from devices.core.errors import NotConnectedError
from devices.saxs.folder_watch import changed_images, images_below
from devices.saxs.queue import ImageQueue
from devices.saxs.run import Run

RETRY_S: Final = 0.5  # for a folder that is away


class Follower:
    """Follows the folder of one queue at a time; in the device's loop.

    Args:
        tell_folder: called with what is wrong with the folder; "" when all is well.
        is_watching: whether images that appear are taken now.
        polls: look again and again; for file systems that other machines write to and tell nothing.
    Attributes:
        is_following: whether images that appear now are seen.
        passed_over: images that came while nobody watched.
    """

    def __init__(
        self, tell_folder: Callable[[str], None], is_watching: Callable[[], bool], *, polls: bool = False
    ) -> None:
        self._tell_folder, self._is_watching, self._polls = tell_folder, is_watching, polls
        self.is_following = False
        self.passed_over = 0

    async def follow(self, queue: ImageQueue, *, is_new: bool) -> None:
        """Let the queue have its images until cancelled.

        Args:
            is_new: images that were there before do not matter, but for the newest of a queue that began by itself.
        """
        shows_newest = is_new and bool(queue.run.source)
        missed = not is_new
        told: str | None = None
        self.is_following = False
        while True:
            try:
                async with contextlib.aclosing(changed_images(queue.run.images, polls=self._polls)) as changes:
                    async for found in changes:  # the first ones come when the watch stands: nothing is between
                        if told is None or told:
                            most = 1 if shows_newest else None
                            if shows_newest or missed:
                                found = await asyncio.to_thread(_present_images, queue.run, most)
                            shows_newest, missed = False, True
                            self._tell_folder(told := "")
                            self.is_following = True
                        if self._is_watching():
                            queue.add(found)
                        else:
                            self.passed_over += len(found)
            except NotConnectedError as error:
                self.is_following = False
                if told != str(error):
                    self._tell_folder(told := str(error))
                await asyncio.sleep(RETRY_S)


def _present_images(run: Run, most: int | None) -> list[str]:
    """The images of a run that are there, oldest first; those of before the run began only when it covers all."""
    found = []
    for part in images_below(run.images):
        for image in part:
            try:
                modified_ns = os.stat(image).st_mtime_ns
            except OSError:
                continue  # removed meanwhile
            if most is not None or run.covers_all or modified_ns >= run.started * 1e9:
                found.append((modified_ns, image))
    found.sort()
    return [image for _, image in (found if most is None else found[-most:])]
