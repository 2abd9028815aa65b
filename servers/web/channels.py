"""The PVs that pages look at: one PVAccess subscription each, however many pages and widgets show it.

PVAccess calls back in its own threads and only leaves a note; the newest value is taken when the loop sends. A value
that is overwritten before is never converted: nobody sees it.
"""

from __future__ import annotations

import asyncio
import logging
import re
import threading
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final

from p4p import Type, Value
from p4p.client.raw import Context, Disconnected, RemoteError

from devices.core.errors import DiptychError, NotConnectedError, RefusedError
from servers.web.update import encoded, facts_of, value_of

log = logging.getLogger(__name__)

NOT_YET: Final = "not connected yet"
GONE: Final = "the EPICS mirror does not answer, or there is no such PV any more"
REQUEST: Final = Type(
    [
        ("field", ("S", None, [("value", ("S", None, []))])),
        ("record", ("S", None, [("_options", ("S", None, [("block", "s"), ("person", "s"), ("address", "s")]))])),
    ]
)
NOBODY: Final[Mapping[str, str]] = {}
#: Marks of an update that brought more than a value, its time and its severity; "" is the mark of all.
FACTS: Final = re.compile(r"$|display|control|valueAlarm")


class Channel:
    """One PV: its newest value, and its JSON.

    Attributes:
        value: the newest one; it stays when the connection is lost. None before the first.
        is_connected: whether it is up to date; ``reason`` says why not.
        version: counts changes; ``facts_version``, those of type, unit, limits and labels.
        watchers: what is called (in the loop) when there is something new.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.value: Value | None = None
        self.is_connected, self.reason = False, NOT_YET
        self.version = self.facts_version = 0
        self.watchers: set[Callable[[Channel], None]] = set()
        self.subscription: Any = None
        self._facts: Mapping[str, Any] = {}
        self._value_json = self._facts_json = ""
        self._json_version = -1
        self._has_new_facts = True

    def take(self) -> bool:
        """Take what came since; whether there was anything. In the loop."""
        newest: Any = None
        while self.subscription is not None and (got := self.subscription.pop()) is not None:
            newest = got
            if not self._has_new_facts:  # looked for in each one: only the newest has all values, and none their marks
                self._has_new_facts = not isinstance(got, Value) or any(map(FACTS.match, got.changedSet()))
        if newest is None:
            return False
        self.version += 1
        if isinstance(newest, Value):
            self.value, self.is_connected, self.reason = newest, True, ""
        else:
            self.is_connected = False
            self.reason = GONE if isinstance(newest, Disconnected) else str(newest)
        return True

    def json(self) -> tuple[str, str]:
        """The value's keys and the facts' keys as JSON without braces, made once for each version."""
        if self._json_version != self.version:
            self._json_version = self.version
            if self.value is not None and self.is_connected:
                if self._has_new_facts or isinstance(self.value.value, Value):  # labels stand in the value
                    self._adopt_facts(facts_of(self.value))
                self._value_json = encoded(value_of(self.value) | {"reason": None})
            else:
                self._value_json = encoded({"connected": False, "severity": "UNDEFINED", "reason": self.reason})
        return self._value_json, self._facts_json

    def _adopt_facts(self, facts: Mapping[str, Any]) -> None:
        self._has_new_facts = False
        if facts != self._facts:
            self._facts, self._facts_json = facts, encoded(facts)
            self.facts_version = self.version


class Channels:
    """All PVs that somebody looks at; in one loop.

    Args:
        configuration: of the PVAccess client, ``EPICS_PVA_...``; the environment of the process does not count.
    """

    def __init__(self, configuration: Mapping[str, str]) -> None:
        self._context = Context("pva", conf=dict(configuration), useenv=False, nt=False)
        self._channels: dict[str, Channel] = {}
        self._loop = asyncio.get_running_loop()
        self._lock = threading.Lock()
        self._noted: set[Channel] = set()

    def close(self) -> None:
        """Leave all PVs."""
        for channel in self._channels.values():
            channel.subscription.close()
        self._channels.clear()
        self._context.close()

    def watch(self, name: str, watcher: Callable[[Channel], None]) -> Channel:
        """Have a function called in the loop at every change, first with what is known already."""
        channel = self._channels.get(name)
        if channel is None:
            channel = self._channels[name] = Channel(name)
            channel.subscription = self._context.monitor(name, partial(self._note, channel))
        channel.watchers.add(watcher)
        if channel.version:
            watcher(channel)
        return channel

    def leave(self, channel: Channel, watcher: Callable[[Channel], None]) -> None:
        """No longer call it; a PV that nobody looks at is left."""
        channel.watchers.discard(watcher)
        if not channel.watchers and self._channels.get(channel.name) is channel:
            del self._channels[channel.name]
            channel.subscription.close()
            channel.subscription = None

    @property
    def names(self) -> list[str]:
        return sorted(self._channels)

    async def put(self, name: str, build: Callable[[Value], None], *, by: Mapping[str, str] = NOBODY) -> None:
        """Write a value, and wait until the device took it; for an operation until its end.

        Args:
            build: sets the wanted value in one of the PV's type, which holds the present value and is called once.
            by: ``person`` and ``address``, for whom: claims to the mirror, for its access rules and its audit.

        Raises:
            RefusedError: it was refused; the text is the mirror's.
            NotConnectedError: the PV was lost meanwhile.
        """
        done: asyncio.Future[Any] = self._loop.create_future()

        def finish(result: Any) -> None:
            self._call(lambda: None if done.done() else done.set_result(result))

        operation = self._context.put(name, finish, build, request=_request(by), get=True)
        try:
            _demand(name, await done)
        finally:
            operation.close()

    async def call(self, name: str, query: Value, *, by: Mapping[str, str] = NOBODY) -> Any:
        """Call a command and give the answer.

        Args:
            by: see :meth:`put`.

        Raises:
            RefusedError, NotConnectedError: see :meth:`put`.
        """
        done: asyncio.Future[Any] = self._loop.create_future()

        def finish(result: Any) -> None:
            self._call(lambda: None if done.done() else done.set_result(result))

        operation = self._context.rpc(name, finish, query, request=_request(by))
        try:
            return _demand(name, await done)
        finally:
            operation.close()

    def _note(self, channel: Channel) -> None:
        """Something came; in a thread of PVAccess."""
        with self._lock:
            first = not self._noted
            self._noted.add(channel)
        if first:
            self._call(self._tell)

    def _tell(self) -> None:
        with self._lock:
            noted, self._noted = self._noted, set()
        for channel in noted:
            for watcher in tuple(channel.watchers):
                watcher(channel)

    def _call(self, function: Callable[[], Any]) -> None:
        try:
            self._loop.call_soon_threadsafe(function)
        except RuntimeError:  # the loop has ended: nobody waits any more
            log.debug("an answer came after the end")


def _request(by: Mapping[str, str]) -> Value:
    return Value(REQUEST, {"record": {"_options": {"block": "true", **by}}})


def _demand(name: str, result: Any) -> Any:
    if isinstance(result, DiptychError):
        raise result
    if isinstance(result, RemoteError):
        raise RefusedError(str(result))
    if isinstance(result, Exception):
        raise NotConnectedError(f"{name}: {result or type(result).__name__}")
    return result
