"""What a distributed hardware server (DHS) does for DCSS: the side that the link calls."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Message:
    """A message of DCSS.

    Attributes:
        command: ``stoh_start_operation``.
        words: its arguments, as a Tcl list is split (braces gone).
        text: all arguments as they came, one text; an operation takes "the rest of the line" from it.
        binary: what came behind the text.
    """

    command: str
    words: tuple[str, ...]
    text: str
    binary: bytes = b""


class Sender(ABC):
    """How a handler answers; every call is for one login ("generation") and is dropped, and counted, after its loss."""

    @property
    @abstractmethod
    def generation(self) -> int:
        """Of the login that is current, or of the last one; counts from 1."""

    @abstractmethod
    def send(self, command: str, words: Sequence[object], *, generation: int | None = None, rest: str = "") -> bool:
        """Send ``command`` with words, each Tcl-quoted, and ``rest`` behind them as it is; never waits.

        Args:
            generation: what it answers; None: whatever is current.
        Returns:
            Whether it was sent (queued); False: that login is over.
        Raises:
            BadValueError: a number is not finite, a word or the text is too long for DCSS.
        """


class DhsHandler(ABC):
    """Takes what DCSS wants. All methods run in the device's loop and return at once; long work is a task of theirs."""

    @abstractmethod
    def logged_in(self, sender: Sender) -> None:
        """DCSS knows us (again): all registrations come anew; handles of earlier logins are void."""

    @abstractmethod
    def lost(self, reason: str) -> None:
        """The link is gone: DCSS has ended by itself whatever it waited for."""

    @abstractmethod
    def take(self, message: Message) -> None:
        """A ``stoh_`` message; registrations, too."""
