"""What DCSS knows by a name and a device of ours stands behind: motors, shutters, strings ..."""

from __future__ import annotations

import asyncio
import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final

from devices.core.errors import BadValueError
from devices.core.neighbours import Changed, Neighbours, Watch
from devices.dcss.handler import Message, Sender
from devices.drivers import dcs_text

#: No faster than this are positions and strings told, s.
TELL_SECONDS: Final = 0.1


@dataclass
class Surroundings:
    """What the members of one DHS share.

    Attributes:
        sender: of the login that is current, or was last; None before the first.
        offsets: motor -> what ``stoh_set_motor_position`` has added, in units of the device behind it.
        offsets_changed: called when one did.
        shutters: by name, for oscillations: opens (True) or closes one.
    """

    neighbours: Neighbours
    log: logging.Logger
    sender: Sender | None = None
    offsets: dict[str, float] = field(default_factory=dict)
    offsets_changed: Callable[[], None] = lambda: None
    shutters: dict[str, Callable[[bool], Coroutine[Any, Any, None]]] = field(default_factory=dict)

    @property
    def generation(self) -> int:
        return 0 if self.sender is None else self.sender.generation

    def send(self, command: str, *words: object, generation: int | None = None, rest: str = "") -> bool:
        """Tell DCSS; what it cannot take is logged, and False."""
        if self.sender is None:
            return False
        try:
            return self.sender.send(command, words, generation=generation, rest=rest)
        except BadValueError as error:
            self.log.error("%s is not sent: %s", command, error)
            return False


class Member(ABC):
    """One of the names that DCSS registers with its hardware server.

    Attributes:
        kind: as in ``stoh_register_KIND``.
        is_registered: DCSS has registered it since the last login.
    """

    kind: ClassVar[str]

    def __init__(self, name: str, around: Surroundings) -> None:
        if len(name) > dcs_text.MAX_NAME:
            raise BadValueError(f"name = {name!r} is longer than {dcs_text.MAX_NAME} characters")
        self.name, self.around = name, around
        self.is_registered = False
        self._watches: list[Watch] = []
        self._tasks: set[asyncio.Task[None]] = set()

    def begin(self) -> None:  # noqa: B027 (nothing to watch is no fault)
        """Watch what stands behind it."""

    async def close(self) -> None:
        """Watch no more, and end what runs."""
        for watch in self._watches:
            watch.close()
        self._watches.clear()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=2.0)

    def registered(self, message: Message) -> None:
        """DCSS has registered it: tell what DCSS cannot know."""
        self.is_registered = True

    def lost(self) -> None:
        """The link is gone."""
        self.is_registered = False

    @abstractmethod
    def take(self, message: Message) -> None:
        """A ``stoh_`` message whose first word is its name.

        Raises:
            BadValueError: the message makes no sense, or is none of its kind.
        """

    def abort(self) -> None:  # noqa: B027 (few have something to end)
        """End what runs."""

    def row(self) -> Mapping[str, Any]:
        """What is known of it, for the table."""
        return {}

    def watch(self, address: str, changed: Changed) -> None:
        self._watches.append(self.around.neighbours.watch(address, changed))

    def spawn(self, work: Coroutine[Any, Any, None], what: str) -> asyncio.Task[None]:
        """Begin long work; what it raises is logged."""
        task = asyncio.create_task(work, name=f"{self.name} {what}")
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def send(self, command: str, *words: object, generation: int | None = None, rest: str = "") -> bool:
        """Tell DCSS of this member."""
        return self.around.send(command, self.name, *words, generation=generation, rest=rest)

    def refuse(self, message: Message) -> BadValueError:
        return BadValueError(
            f"{message.command} {message.text:.80}: {self.name} is a {self.kind}, or words are missing"
        )

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self.around.log.error("%s: %s", task.get_name(), error)


def number(text: str, what: str) -> float:
    """A finite number.

    Raises:
        BadValueError: it is none.
    """
    try:
        value = float(text)
        dcs_text.number(value)
    except ValueError:
        raise BadValueError(f"{what} = {text!r} is not a number below 1e12") from None
    return value
