"""Neighbours of a bridge in one process: an axis that takes its time, a shutter, a counter, plain values."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import Any

from devices.core import Quality, Reading
from devices.core.errors import NotConnectedError, RangeError, UnknownNameError
from devices.core.neighbours import ANSWER_SECONDS, Changed, Facts, Neighbours, Progress, Watch


class _Watch(Watch):
    def __init__(self, close: Callable[[], None]) -> None:
        self.close = close  # type: ignore[method-assign]

    def close(self) -> None:
        raise NotImplementedError


class Beamline(Neighbours):
    """Values by address; ``add_axis`` makes one move, ``commands`` are what can be run.

    Attributes:
        puts: every put, in order.
    """

    def __init__(self, **values: Any) -> None:
        self.values: dict[str, Any] = {}
        self.limits: dict[str, tuple[float, float]] = {}
        self.labels: dict[str, tuple[str, ...]] = {}
        self.puts: list[tuple[str, Any]] = []
        self.commands: dict[str, Callable[..., Any]] = {}
        self._listeners: dict[str, list[Changed]] = {}
        self._axes: dict[str, Callable[[float], None]] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def show(self, address: str, value: Any) -> None:
        """The hardware says so; None: it is gone."""
        self.values[address] = value
        for changed in tuple(self._listeners.get(address, ())):
            changed(self._reading(address))

    def add_axis(self, setpoint: str, position: str, *, moving: str = "", done: str = "", speed: str = "") -> None:
        """An axis that goes at ``speed``'s value, units/s, and tells where it is every 20 ms."""

        def flags(moves: bool) -> None:
            if moving:
                self.show(moving, moves)
            if done:
                self.show(done, int(not moves))

        async def go(target: float) -> None:
            await asyncio.sleep(0.03)
            flags(True)
            last = time.monotonic()
            while self.values[position] != target:
                await asyncio.sleep(0.02)
                now = time.monotonic()
                step = float(self.values[speed]) * (now - last)
                last, left = now, target - self.values[position]
                self.show(position, target if abs(left) <= step else self.values[position] + step * (left > 0 or -1))
            flags(False)

        def begin(target: float) -> None:
            if (running := self._tasks.get(setpoint)) is not None:
                running.cancel()
            self._tasks[setpoint] = asyncio.get_running_loop().create_task(go(target))

        def stop() -> None:
            self._tasks[setpoint].cancel()
            flags(False)

        self.stop = stop
        flags(False)
        self._axes[setpoint] = begin

    def _reading(self, address: str) -> Reading[Any]:
        value = self.values[address]
        if value is None:
            return Reading(None, time.time(), Quality.INVALID, f"{address} is away")
        return Reading(value, time.time())

    def watch(self, address: str, changed: Changed) -> Watch:
        self._listeners.setdefault(address, []).append(changed)
        if address in self.values:
            changed(self._reading(address))
        return _Watch(lambda: self._listeners[address].remove(changed))

    async def facts(self, address: str) -> Facts:
        return Facts(labels=self.labels.get(address, ()))

    async def read(self, address: str) -> Reading[Any]:
        return self._reading(address)

    async def put(self, address: str, value: Any, seconds: float = ANSWER_SECONDS) -> None:
        if address not in self.values:
            raise UnknownNameError(f"there is no {address}")
        if self.values[address] is None:
            raise NotConnectedError(f"{address} is away")
        low, high = self.limits.get(address, (value, value))
        if isinstance(value, float) and not low <= value <= high:
            raise RangeError(f"{address} = {value} is outside [{low}, {high}]")
        self.puts.append((address, value))
        if address in self.commands:
            self.commands[address]()
        self.show(address, value)
        if address in self._axes:
            self._axes[address](float(value))

    async def run(
        self, address: str, arguments: Mapping[str, Any], progress: Progress | None = None, seconds: float | None = None
    ) -> Any:
        if address not in self.commands:
            raise UnknownNameError(f"there is no {address}")
        found = self.commands[address](**arguments)
        return await found if asyncio.iscoroutine(found) else found

    async def close(self) -> None:
        for task in self._tasks.values():
            task.cancel()
