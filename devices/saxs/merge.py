"""The merge of a SAXS detector: one at a time, in a thread, with news for those who wait."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Mapping
from typing import Any, Final

from devices.core.errors import AbortedError, BusyError, reason
from devices.saxs.merge_job import Merged, MergeJob, merge

log = logging.getLogger(__name__)

MOST_NEWS: Final = 10_000  # lines that nobody asks for
STEP_PERCENT: Final = 0.5


class Merge:
    """Runs merges; all methods in the device's loop.

    Attributes:
        count: merges that ended well.
        progress, message: of the merge that runs, or ran last, 0..100 %.
    """

    def __init__(self) -> None:
        self.count = 0
        self.progress, self.message = 0.0, ""
        self._result: Mapping[str, Any] | None = None
        self._news: list[str] = []
        self._task: asyncio.Task[Merged] | None = None
        self._ends = threading.Event()

    def require_idle(self) -> None:
        """Raises:
        BusyError: a merge runs.
        """
        if self._task is not None and not self._task.done():
            raise BusyError("Merge already started please wait")

    @property
    def result(self) -> Mapping[str, Any] | None:
        """What a Saxsdog client is told of the last merge that ended well; None before there is one."""
        return self._result

    def start(self, job: MergeJob) -> asyncio.Task[Merged]:
        """Begin a merge.

        Raises:
            BusyError: one runs.
        """
        self.require_idle()
        self.progress, self.message = 0.0, ""
        self._news.clear()
        self._ends = threading.Event()
        self._task = asyncio.create_task(self._run(job, self._ends), name=f"merge of {job.folder}")
        self._task.add_done_callback(_retrieve)  # who started it may be gone, and its news tell all
        return self._task

    def news(self) -> str:
        """What the merge has said since the last call."""
        news, self._news = "".join(self._news), []
        return news

    def abort(self) -> None:
        """Let the merge that runs end at its next step."""
        self._ends.set()

    async def stop(self) -> None:
        """Abort the merge that runs, and wait for its end."""
        if self._task is not None and not self._task.done():
            self.abort()
            await asyncio.wait({self._task})

    async def _run(self, job: MergeJob, ends: threading.Event) -> Merged:
        loop = asyncio.get_running_loop()
        told = 0.0

        def report(percent: float, text: str) -> None:
            nonlocal told
            if ends.is_set():
                raise AbortedError("the merge was aborted")
            if text or percent >= told + STEP_PERCENT:
                told = max(told, percent)
                loop.call_soon_threadsafe(self._note, percent, text)

        self._note(0.0, f"merging the images in {job.folder}")
        # Not cancelled with whoever waits for it: a thread goes on until it is told to end.
        work = loop.run_in_executor(None, merge, job, report)
        try:
            found = await asyncio.shield(work)
        except asyncio.CancelledError:
            ends.set()
            await asyncio.wait({work})
            raise
        except Exception as error:
            self._note(self.progress, f"{reason(error)}: {error}")
            level = logging.INFO if isinstance(error, AbortedError) else logging.ERROR
            log.log(level, "merge of %s: %s: %s", job.folder, reason(error), error)
            raise
        self._result = found.document
        self.count += 1
        self._note(100.0, f"merged: {len(found.table.time_us)} images in {len(found.files)} files")
        return found

    def _note(self, percent: float, text: str) -> None:
        self.progress = max(self.progress, min(percent, 100.0))
        if text:
            self.message = text
            if len(self._news) < MOST_NEWS:
                self._news.append(f"{text}\n")


def _retrieve(task: asyncio.Task[Merged]) -> None:
    if not task.cancelled():
        task.exception()
