"""What the leash needs of the device that it serves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from devices.saxs.results import Attachment, ImageCurves, QueueCounts, Series


class Target(Protocol):
    """A SAXS detector with a queue of images; all methods run in the device's loop.

    Errors are those of `devices.core.errors`: RangeError, BadValueError, ConfigurationError (a wrong calibration),
    NotAllowedError (a path outside of the base folder, or no queue where one is needed), BusyError (a merge runs).
    """

    async def new_queue(self, calibration: Mapping[str, Any], masks: Sequence[Attachment]) -> None:
        """Begin a queue; one that runs is aborted and replaced.

        Args:
            masks: one for each entry of ``Masks`` that names a file, in their order.
        """

    async def read_folder(self) -> None:
        """Begin anew with all images below the folder of the queue; NotAllowedError without a queue."""

    async def close_queue(self) -> None:
        """Take no more images; those that wait are still done. NotAllowedError without a queue."""

    async def abort_queue(self) -> None:
        """End the queue within one image; there is none afterwards."""

    async def new_file(self, path: str) -> None:
        """A feeder says that an image is complete; one outside of the queue's folder is no concern of the queue."""

    def queue_counts(self) -> QueueCounts | None:
        """None when there is no queue."""

    def queue_calibration(self) -> tuple[Mapping[str, Any], Sequence[Attachment]] | None:
        """The calibration and its masks as they came; None when there is no queue."""

    def newest_curves(self) -> ImageCurves | None:
        """The newest image of this queue; None before there is one."""

    def finished_times(self) -> Sequence[float]:
        """When the images of the last 100 s were finished, s since 1970."""

    def integral_series(self) -> Mapping[str, Series]:
        """The integral parameters of all images of the queue, by ``R0``, ``R1`` ...

        A series only grows; when a queue begins, or begins anew, it is another object.
        """

    async def list_folder(self, components: Sequence[str]) -> tuple[Sequence[str], Sequence[tuple[str, bool]]]:
        """What is in a folder below the base folder.

        Returns:
            The components of the folder's whole path (the first is empty), and each entry's name and whether it is a
            folder, by name.
        """

    async def file_lists(self) -> Mapping[str, Sequence[str]]:
        """The results of the queue's images by kind, ``Radial0``, ``Slice2`` ..., sorted by base name."""

    async def start_merge(self, configuration: Mapping[str, Any], logs: Sequence[Attachment]) -> None:
        """Begin a merge; BusyError while one runs."""

    def merge_news(self) -> str:
        """What the merge has said since the last call."""

    def merge_result(self) -> Mapping[str, Any] | None:
        """``{"syncplot": {...}, "fileslist": {...}}`` of the last merge that ended well; None before there is one."""
