"""What operators want of a script while it runs: that it pauses, goes on, or skips a row."""

from __future__ import annotations

import asyncio
import enum

from devices.core.errors import NotAllowedError


class Answer(enum.Enum):
    """What an operator said to a script that waits."""

    RESUME = "resume"
    SKIP = "skip"


class Hold:
    """Wishes are kept until the script comes to a place where it can follow them."""

    def __init__(self) -> None:
        self._pauses = False
        self._skips = asyncio.Event()
        self._answer: asyncio.Future[Answer] | None = None

    @property
    def pauses(self) -> bool:
        """Whether it is to pause at the next place where it can."""
        return self._pauses

    @property
    def is_waiting(self) -> bool:
        return self._answer is not None

    def pause(self) -> None:
        """Pause when the present image is there."""
        self._pauses = not self.is_waiting

    def resume(self) -> None:
        """Go on; also take back a wish to pause.

        Raises:
            NotAllowedError: it neither waits nor is about to.
        """
        if self._answer is None and not self._pauses:
            raise NotAllowedError("the script is not paused")
        self._pauses = False
        self._tell(Answer.RESUME)

    def skip(self) -> None:
        """Leave out what is left of the present row."""
        if self._answer is not None:
            self._tell(Answer.SKIP)
        else:
            self._skips.set()

    def take_skip(self) -> bool:
        """Whether the row is to be left; asked once."""
        found = self._skips.is_set()
        self._skips.clear()
        return found

    async def answer(self) -> Answer:
        """Wait for an operator."""
        self._pauses = False
        self._answer = asyncio.get_running_loop().create_future()
        try:
            return await self._answer
        finally:
            self._answer = None

    async def sleep(self, seconds: float) -> None:
        """Until the time is over or the row is skipped."""
        try:
            await asyncio.wait_for(self._skips.wait(), seconds)
        except TimeoutError:
            return

    def _tell(self, answer: Answer) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(answer)
