"""Operations of DCSS that Python does: each call gets its handle, gives updates, and is completed exactly once."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from devices.core.errors import AbortedError, BadValueError, DiptychError, reason
from devices.dcss.handler import Message, Sender
from devices.drivers import dcs_text

#: A text that explains a failure is cut to this length, characters.
MAX_REASON: Final = 200
#: An aborted call has this time to leave the hardware in order, s.
ABORT_SECONDS: Final = 5.0


class OperationFailed(DiptychError):
    """An operation ended badly: what DCSS is told instead of ``normal``.

    Args:
        words: ``error TipNotInView +``: the first is the status, one word that scripts see as the reason.
    """

    def __init__(self, *words: object) -> None:
        self.words = words or ("error",)
        super().__init__(" ".join(map(str, self.words)))


@dataclass(eq=False)
class OperationCall:
    """One call of an operation.

    Attributes:
        name: of the operation. handle: DCSS' own, ``client.counter``; a text.
        words: the arguments as a Tcl list is split. rest: the same as they came.
        stop_requested: set by ``stoh_stop_operation``: end early, with what there is. An abort cancels the call.
    """

    name: str
    handle: str
    words: tuple[str, ...]
    rest: str
    sender: Sender
    generation: int
    stop_requested: asyncio.Event = field(default_factory=asyncio.Event)

    def update(self, *words: object, rest: str = "") -> bool:
        """Tell DCSS how far it is.

        Args:
            words: each Tcl-quoted. rest: follows them as it is, for what is a Tcl list already.
        Returns:
            False: DCSS has ended the operation by itself, as the link was lost; nobody waits for it any more.
        """
        return self.sender.send(
            "htos_operation_update", (self.name, self.handle, *words), generation=self.generation, rest=rest
        )

    def number(self, index: int, default: float | None = None) -> float:
        """An argument as a number.

        Raises:
            BadValueError: it is missing and has no default, or is no number.
        """
        if index >= len(self.words) and default is not None:
            return default
        try:
            return float(self.words[index])
        except IndexError:
            raise BadValueError(f"{self.name}: argument {index + 1} is missing") from None
        except ValueError:
            raise BadValueError(f"{self.name}: argument {index + 1} = {self.words[index]!r} is not a number") from None


#: Does the work and returns the words that follow ``normal``; a text is one word, None none.
Work = Callable[[OperationCall], Awaitable[Sequence[object] | str | None]]


class DhsOperations:
    """The operations that one DHS serves, and their calls that run.

    Args:
        log: of the device.
    """

    def __init__(self, log: logging.Logger) -> None:
        self._log = log
        self._works: dict[str, Work] = {}
        self._calls: dict[asyncio.Task[None], OperationCall] = {}
        self.completed = self.failed = 0

    @property
    def names(self) -> frozenset[str]:
        return frozenset(self._works)

    @property
    def running(self) -> list[OperationCall]:
        """The calls that are not completed, oldest first."""
        return list(self._calls.values())

    def add(self, name: str, work: Work) -> None:
        """From now on this function does the operation.

        Raises:
            BadValueError: the name is too long for DCSS, or taken.
        """
        if not name or len(name) > dcs_text.MAX_NAME or name in self._works:
            raise BadValueError(f"operation {name!r} is there already, or not 1 to {dcs_text.MAX_NAME} characters long")
        self._works[name] = work

    def remove(self, names: Iterable[str]) -> None:
        """Nobody does these any more; calls that run go on."""
        for name in names:
            self._works.pop(name, None)

    def start(self, message: Message, sender: Sender) -> None:
        """``stoh_start_operation name handle [arguments]``; one that nobody does is answered at once."""
        if len(message.words) < 2:
            self._log.error("%s %s: name and handle are missing", message.command, message.text)
            return
        name, handle, *words = message.words
        rest = message.text.split(None, 2)[2] if words else ""
        call = OperationCall(name, handle, tuple(words), rest, sender, sender.generation)
        work = self._works.get(name)
        if work is None:
            self._log.warning("DCSS asks for the operation %s, which nobody does here", name)
            self._complete(call, "not_implemented", ())
            return
        task = asyncio.create_task(self._run(call, work), name=f"{name} {handle}")
        self._calls[task] = call
        task.add_done_callback(self._ended)

    def stop(self, name: str) -> None:
        """``stoh_stop_operation``: all calls of this operation are asked to end."""
        for call in self._calls.values():
            if call.name == name:
                call.stop_requested.set()

    def abort(self) -> None:
        """``stoh_abort_all``: every call ends now, completed as ``aborted``."""
        for task in self._calls:
            if not task.cancelling():
                task.cancel()

    def lost(self) -> None:
        """The link is gone and DCSS has ended them all; so do we."""
        self.abort()

    async def close(self) -> None:
        """End all calls and wait for them."""
        self.abort()
        if self._calls:
            await asyncio.wait(list(self._calls), timeout=ABORT_SECONDS)

    async def _run(self, call: OperationCall, work: Work) -> None:
        try:
            found = await work(call)
        except OperationFailed as failure:
            self._complete(call, str(failure.words[0]), failure.words[1:])
        except AbortedError as error:
            self._complete(call, "aborted", (str(error)[:MAX_REASON],))
        except Exception as error:
            if not isinstance(error, DiptychError):
                self._log.exception("operation %s", call.name)
            self._complete(call, reason(error), (), rest=str(error)[:MAX_REASON])
        else:
            words = (found,) if isinstance(found, str) else tuple(found or ())
            try:
                self._complete(call, "normal", words)
            except BadValueError as error:
                self._log.error("operation %s: DCSS cannot take its result: %s", call.name, error)
                self._complete(call, reason(error), (), rest=str(error)[:MAX_REASON])

    def _ended(self, task: asyncio.Task[None]) -> None:
        call = self._calls.pop(task)
        if task.cancelled():
            # Here and not in the work: a task that is cancelled before its first step never enters it.
            self._complete(call, "aborted", ())
        elif (error := task.exception()) is not None:
            self._log.error("operation %s could not be completed: %s", call.name, error)

    def _complete(self, call: OperationCall, status: str, words: Sequence[object], rest: str = "") -> None:
        status = "".join(status.split())[: dcs_text.MAX_WORD] or "error"
        call.sender.send(
            "htos_operation_completed", (call.name, call.handle, status, *words), generation=call.generation, rest=rest
        )
        self.completed += 1
        self.failed += status != "normal"
