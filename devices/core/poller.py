"""The poller of a device: connects, polls, isolates faults, and connects again."""

from __future__ import annotations

import asyncio
import builtins
import logging
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from devices.core.errors import reason
from devices.core.live import NO_VALUE, LiveAttribute, ended_in_time, polled_since, published

if TYPE_CHECKING:
    from devices.core.device import Device

F = TypeVar("F", bound=Callable[[Any], Awaitable[None]])

#: Waiting times between attempts to connect, s.
FIRST_RETRY, LONGEST_RETRY = 0.2, 5.0
#: A device's ``connect`` and each poll are ended after this time, s.
CONNECT_TIMEOUT, POLL_TIMEOUT = 10.0, 10.0
#: A ``disconnect`` is ended after this time, s: a server has 5 s to end as a whole.
DISCONNECT_TIMEOUT = 1.5
#: So many polls in a row without an answer, and the link is taken for dead.
TIMEOUTS_TO_LOSE = 3


def poll(period: float) -> Callable[[F], F]:
    """Declare an ``async`` method that asks the hardware every ``period`` seconds while it is connected."""
    if period <= 0:
        raise ValueError(f"period = {period} s is not > 0")

    def decorate(function: F) -> F:
        function.__poll__ = period  # type: ignore[attr-defined]
        return function

    return decorate


@dataclass
class Poll:
    """One thing to ask for, again and again."""

    function: Callable[[], Awaitable[None]]
    period: float
    name: str
    #: The attributes that it publishes, learnt as it does; they become INVALID when it fails.
    published: set[LiveAttribute[Any]] = field(default_factory=set)
    #: Set when it has been tried on this connection, well or badly.
    tried: asyncio.Event = field(default_factory=asyncio.Event)


class Troubles:
    """Logs each trouble once, again only when its text changes, and its end once."""

    def __init__(self, log: logging.Logger) -> None:
        self._log = log
        self._texts: dict[str, str] = {}

    def report(self, what: str, error: BaseException) -> None:
        text = f"{reason(error)}: {error}"
        if self._texts.get(what) != text:
            self._texts[what] = text
            self._log.error("%s: %s", what, text)

    def over(self, what: str) -> None:
        if self._texts.pop(what, None) is not None:
            self._log.info("%s: works again", what)


class Poller:
    """Keeps one device connected and its polls going; a fault of one poll never stops another."""

    def __init__(self, device: Device, polls: list[Poll]) -> None:
        self._device = device
        self._polls = polls
        self._lost: asyncio.Future[BaseException] | None = None
        self._troubles = Troubles(device.log)
        self._connecting: set[LiveAttribute[Any]] = set()
        self._restored = False
        self._text = NO_VALUE
        self.connected = False

    def lost(self, error: BaseException) -> None:
        """The link broke, as somebody who used it has found; connect again."""
        # What fails before the link is there (a put while the device connects) says nothing of the link to come.
        if self.connected and self._lost is not None and not self._lost.done():
            self._lost.set_result(error)

    async def run(self) -> None:
        """Connect and poll until cancelled."""
        delay = FIRST_RETRY
        while True:
            self._lost = asyncio.get_running_loop().create_future()
            error: BaseException
            began = time.monotonic()
            try:
                token = published.set(self._connecting)
                try:
                    await ended_in_time(self._device.connect(), CONNECT_TIMEOUT, "connecting")
                finally:
                    published.reset(token)
                self.connected = True
                self._forget()
                self._troubles.over("link")
                error = await self._poll_until_lost()
            except Exception as failure:
                error = failure
            self.connected = False
            self._troubles.report("link", error)
            self._invalidate(error)
            await self._disconnect()
            if time.monotonic() - began > LONGEST_RETRY:
                delay = FIRST_RETRY
            await asyncio.sleep(delay * random.uniform(0.8, 1.2))  # noqa: S311 (spreads the load, hides nothing)
            delay = min(LONGEST_RETRY, delay * 2)

    async def close(self) -> None:
        """Close the link."""
        self.connected = False
        await self._disconnect()

    async def _disconnect(self) -> None:
        try:
            await ended_in_time(self._device.disconnect(), DISCONNECT_TIMEOUT, "disconnecting")
        except Exception as failure:
            self._device.log.warning("disconnecting: %s: %s", reason(failure), failure)

    async def _poll_until_lost(self) -> BaseException:
        assert self._lost is not None
        for each in self._polls:
            each.tried.clear()
        tasks = [asyncio.ensure_future(self._repeat(each)) for each in self._polls]
        if not self._restored:
            tasks.append(asyncio.ensure_future(self._first_contact()))
        try:
            return await self._lost
        finally:
            for task in tasks:
                task.cancel()
            if tasks:
                await asyncio.wait(tasks, timeout=1.0)

    async def _first_contact(self) -> None:
        # Memorized values are compared with what the hardware holds, so every poll comes first, well or badly.
        for each in self._polls:
            await each.tried.wait()
        self._device.contacted()
        await self._device.restore()
        assert self._lost is not None
        self._restored = not self._lost.done()

    async def _repeat(self, each: Poll) -> None:
        failures = timeouts = 0
        due = time.monotonic()
        while True:
            fresh: set[LiveAttribute[Any]] = set()
            published.set(fresh)
            polled_since.set(time.time())
            try:
                await ended_in_time(each.function(), POLL_TIMEOUT, each.name)
                self._troubles.over(each.name)
                failures = timeouts = 0
            except Exception as error:
                timeouts = timeouts + 1 if isinstance(error, builtins.TimeoutError) else 0
                if isinstance(error, ConnectionError) or timeouts >= TIMEOUTS_TO_LOSE:
                    self.lost(error)
                    return
                failures += 1
                self._troubles.report(each.name, error)
                # What it published before it failed has been read well.
                for live in each.published - fresh:
                    live.publish_invalid(f"{reason(error)}: {error}")
            finally:
                each.published |= fresh
            each.tried.set()
            # 2**16 periods are longer than any longest retry; 2**2000 is no float.
            backoff = min(LONGEST_RETRY, each.period * (2 ** min(failures, 16) - 1))
            due = max(due + each.period, time.monotonic() + backoff)
            await asyncio.sleep(due - time.monotonic())

    def _invalidate(self, error: BaseException) -> None:
        unread, self._text = {NO_VALUE, self._text}, f"{reason(error)}: {error}"
        known = self._connecting.union(*(each.published for each in self._polls))
        for live in self._device.attributes.values():
            if live in known or live.reading.reason in unread:
                live.publish_invalid(self._text)
        # Last, so that whoever sees FAULT finds no reading that still looks well.
        self._device.set_fault("link", self._text)

    def _forget(self) -> None:
        # The polls will say what theirs are; the rest (results of operations, settings) has no trouble with the link.
        polled = set().union(*(each.published for each in self._polls))
        self._device.set_fault("link", "")
        for live in self._device.attributes.values():
            if live.reading.reason == self._text and live not in polled:
                live.publish_invalid(NO_VALUE)
