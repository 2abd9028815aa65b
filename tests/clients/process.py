"""A process that is a client of one facility: functions of a test run in it, one after the other."""

from __future__ import annotations

import asyncio
import inspect
import os
import traceback
from collections.abc import Callable, Mapping
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Any

_spawn = get_context("spawn")  # a client library has threads and takes its environment once


class ClientError(Exception):
    """What a function raised in the client's process: its traceback."""


class ClientProcess:
    """Runs functions of a test module in a process with the environment of a client.

    Coroutines run in one event loop; between two calls it stands still. What a function keeps (channels, what a monitor
    heard) it keeps in globals of its module.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._pipe, theirs = _spawn.Pipe()
        self._process = _spawn.Process(target=_serve, args=(theirs, dict(environment)), daemon=True)
        self._process.start()
        theirs.close()

    def __call__(self, function: Callable[..., Any], *arguments: Any, seconds: float = 40.0) -> Any:
        """What the function returns.

        Raises:
            ClientError: it raised; the text is the traceback.
        """
        self.begin(function, *arguments)
        return self.end(seconds)

    def begin(self, function: Callable[..., Any], *arguments: Any) -> None:
        """Have a function run, and do something else meanwhile."""
        self._pipe.send((function, arguments))

    def is_done(self, seconds: float = 0.0) -> bool:
        """Whether the function that was begun last has ended, within so many seconds."""
        return bool(self._pipe.poll(seconds))

    def end(self, seconds: float = 40.0) -> Any:
        """What the function that was begun last returns."""
        assert self.is_done(seconds), f"the client did not end within {seconds:g} s"
        failed, result = self._pipe.recv()
        if failed:
            raise ClientError(result)
        return result

    def close(self) -> None:
        self._process.kill()
        self._process.join()
        self._pipe.close()


def _serve(pipe: Connection, environment: dict[str, str]) -> None:
    os.environ.clear()
    os.environ.update(environment)
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    while True:
        try:
            function, arguments = pipe.recv()
        except EOFError:
            return
        try:
            result = function(*arguments)
            if inspect.isawaitable(result):
                result = loop.run_until_complete(result)
            pipe.send((False, result))
        except BaseException:
            pipe.send((True, traceback.format_exc()))
