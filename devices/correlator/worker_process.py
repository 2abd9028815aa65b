"""A process that answers one question after the other: its death and its silence are errors, never a wait for ever."""

from __future__ import annotations

import multiprocessing
import time
import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any, Final, Protocol

from devices.core.errors import DiptychError, ProtocolError
from devices.core.executor import end_with_parent, interrupts_held

END_S: Final = 3.0

#: Says how much of an answer is done, 0 to 1.
Tell = Callable[[float], None]


class WorkerLostError(DiptychError):
    """The process died, or was ended because it did not answer in time."""


class WorkFailedError(DiptychError):
    """The process could not do what it was asked; it lives on."""


class Desk(Protocol):
    """What answers in the process; made there from what `WorkerProcess` was given."""

    def answer(self, question: Any, tell: Tell) -> Any: ...

    def close(self) -> None: ...


class WorkerProcess:
    """One spawned process; all methods but `kill` belong to one thread at a time and block.

    Args:
        make: importable; called in the process with ``setup``. What it raises, the first `ask` raises.
        start_s: how long the first answer may take, s: libraries are imported, and code is compiled.
    """

    def __init__(self, make: Callable[[Any], Desk], setup: Any, *, name: str, start_s: float = 180.0) -> None:
        self._make, self._setup, self._name, self._start_s = make, setup, name, start_s
        self._process: Any = None
        self._connection: Connection | None = None
        self._is_closed = False
        self.starts = 0

    @property
    def pid(self) -> int | None:
        process = self._process
        return None if process is None else process.pid

    def start(self) -> None:
        """Start the process and wait until it is ready.

        Raises:
            WorkerLostError: it died; WorkFailedError: it cannot be made, and why.
        """
        if self._process is not None or self._is_closed:
            return
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(target=_serve, args=(theirs, self._make, self._setup), name=self._name, daemon=True)
        with interrupts_held():
            process.start()
        theirs.close()
        self._process, self._connection = process, ours
        self.starts += 1
        self._receive(self._start_s)

    def ask(self, question: Any, seconds: float, told: Tell = lambda part: None) -> Any:
        """The answer; a process that is not there is started first.

        Args:
            told: is called, in this thread, with how much is done, 0 to 1.
        Raises:
            WorkerLostError: it died, or did not answer within ``seconds`` s and was ended.
            WorkFailedError: it answers that it could not.
        """
        self.start()
        connection = self._connection
        if connection is None:
            raise WorkerLostError(f"{self._name} has ended")
        try:
            connection.send(question)
        except OSError as error:
            raise self._lost(f"died ({error})") from error
        return self._receive(seconds, told)

    def kill(self) -> None:
        """End the process for good, from any thread; who waits for an answer gets WorkerLostError."""
        self._is_closed = True
        process = self._process
        if process is not None and process.is_alive():
            process.kill()

    def close(self) -> None:
        """Ask the process to end, and see to it."""
        self._is_closed = True
        if self._process is None:
            return
        if self._connection is not None:
            self._connection.close()  # the process reads its end, and ends
        self._process.join(END_S)
        self._end()

    def _receive(self, seconds: float, told: Tell = lambda part: None) -> Any:
        connection = self._connection
        assert connection is not None
        deadline = time.monotonic() + seconds
        try:
            kind, value = "part", 0.0
            while kind == "part":
                if not connection.poll(max(0.0, deadline - time.monotonic())):
                    raise self._lost(f"did not answer within {seconds:g} s")
                kind, value = connection.recv()
                if kind == "part":
                    told(value)
        except (EOFError, OSError) as error:
            raise self._lost("died") from error
        if kind == "failed":
            raise WorkFailedError(value)
        if kind == "unmade":
            self._end()
            raise WorkFailedError(value)
        if kind != "done":
            raise ProtocolError(f"{self._name} said {kind!r}")
        return value

    def _lost(self, what: str) -> WorkerLostError:
        process = self._process
        self._end()
        return WorkerLostError(f"{self._name} {what}, exit code {process.exitcode}")

    def _end(self) -> None:
        process, self._process = self._process, None
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        if process is not None:
            if process.is_alive():
                process.kill()
            process.join(END_S)


def _serve(connection: Connection, make: Callable[[Any], Desk], setup: Any) -> None:
    end_with_parent()
    try:
        desk = make(setup)
    except Exception as error:
        connection.send(("unmade", f"{type(error).__name__}: {error}"))
        return
    connection.send(("done", None))
    try:
        while True:
            question = connection.recv()
            try:
                reply = ("done", desk.answer(question, lambda part: connection.send(("part", part))))
            except Exception as error:
                if not isinstance(error, DiptychError):
                    traceback.print_exc()  # a fault of the program: the log has it
                reply = ("failed", f"{type(error).__name__}: {error}")
            connection.send(reply)
    except (EOFError, OSError):
        return  # the parent has closed its end
    finally:
        desk.close()
