"""PVs of PVAccess, through p4p: scalars, arrays, enumerations; ``run`` is a remote procedure call."""

from __future__ import annotations

import asyncio
import builtins
import time
from collections.abc import Mapping, Sequence
from typing import Any, Final

from p4p.client.asyncio import Context
from p4p.client.thread import RemoteError
from p4p.nt import NTURI

from devices.core import Quality, Reading
from devices.core.errors import BadValueError, NotConnectedError, RefusedError, TimeoutError
from devices.core.live import check_limits
from devices.core.neighbours import ANSWER_SECONDS, Changed, Facts, Watch
from servers.facility.environment import pva_client

QUALITIES: Final = (Quality.VALID, Quality.WARNING, Quality.ALARM)


class _Monitored(Watch):
    def __init__(self, pvs: PvaPvs, name: str, changed: Changed) -> None:
        self._pvs, self._name, self._changed = pvs, name, changed
        pvs.watches.add(self)  # p4p alone would let go of it
        self._changed(Reading(None, time.time(), Quality.INVALID, f"{name}: no server has it yet"))
        self._monitor = pvs.context.monitor(name, self._take, notify_disconnect=True)

    def close(self) -> None:
        self._changed = _ignore
        self._pvs.watches.discard(self)
        self._monitor.close()

    async def _take(self, value: Any) -> None:
        if isinstance(value, Exception):
            self._changed(Reading(None, time.time(), Quality.INVALID, f"{self._name} is away: {value}"))
        else:
            self._changed(_reading(value))


def _ignore(reading: Reading[Any]) -> None:
    """What comes after the end of a watch."""


class PvaPvs:
    """PVs by name.

    Args:
        addresses: of servers, ``HOST:PORT``, TCP.
    """

    def __init__(self, addresses: Sequence[str]) -> None:
        self._conf = pva_client(addresses)
        self._context: Any = None
        self.watches: set[_Monitored] = set()

    @property
    def context(self) -> Any:
        if self._context is None:
            # Values as they are on the wire: an enumeration with its labels, a number with its limits.
            self._context = Context("pva", conf=self._conf, useenv=False, nt=False)
        return self._context

    def watch(self, name: str, changed: Changed) -> Watch:
        return _Monitored(self, name, changed)

    async def facts(self, name: str) -> Facts:
        found = await self._answered(name, self.context.get(name))
        display, control = found.get("display"), found.get("control")
        low, high = (control["limitLow"], control["limitHigh"]) if control is not None else (0.0, 0.0)
        return Facts(
            unit="" if display is None else display.get("units", ""),
            limits=(None, None) if low == high else (low, high),
            labels=tuple(_labels(found)),
            is_writable=True,  # only the put tells
            text="" if display is None else display.get("description", ""),
        )

    async def read(self, name: str) -> Reading[Any]:
        found = await self._answered(name, self.context.get(name))
        reading, labels = _reading(found), _labels(found)
        if labels and reading.value is not None and reading.value < len(labels):
            return Reading(labels[reading.value], reading.timestamp, reading.quality, reading.reason)
        return reading

    async def put(self, name: str, value: Any, seconds: float) -> None:
        now = await self._answered(name, self.context.get(name))
        labels = _labels(now)
        field = "value.index" if labels else "value"
        if labels and isinstance(value, str):
            if value not in labels:
                raise BadValueError(f"{name} = {value!r} is none of {', '.join(labels)}")
            value = labels.index(value)
        elif isinstance(now.get("value"), bool) and isinstance(value, str):
            value = value.lower() in ("1", "true", "on", "yes")
        elif isinstance(now.get("value"), int | float):
            try:
                value = type(now["value"])(value)
            except ValueError:
                raise BadValueError(f"{name} = {value!r} is no number") from None
            facts = await self.facts(name)
            check_limits(name, value, facts.limits, facts.unit)
        await self._answered(name, self.context.put(name, {field: value}), seconds)

    async def run(self, name: str, arguments: Mapping[str, Any], seconds: float | None) -> Any:
        """A remote procedure call with named arguments; or, without any, a put that starts a command.

        Raises:
            RefusedError: the server says why.
        """
        kinds = {bool: "?", int: "l", float: "d", str: "s"}
        uri = NTURI([(key, kinds.get(type(value), "s")) for key, value in arguments.items()])
        request = uri.wrap(name, kws=dict(arguments))
        found = await self._answered(name, self.context.rpc(name, request), seconds)
        value = found.get("value") if hasattr(found, "get") else found
        return value.todict() if hasattr(value, "todict") else value

    async def close(self) -> None:
        for watch in list(self.watches):
            watch.close()
        if self._context is not None:
            self._context.close()

    async def _answered(self, name: str, work: Any, seconds: float | None = ANSWER_SECONDS) -> Any:
        try:
            async with asyncio.timeout(seconds):
                return await work
        except builtins.TimeoutError:
            raise TimeoutError(f"{name} did not answer within {seconds:g} s") from None
        except RemoteError as error:
            raise RefusedError(f"{name}: {error}") from None
        except (ConnectionError, OSError) as error:
            raise NotConnectedError(f"{name}: {error}") from None


def _labels(found: Any) -> list[str]:
    value = found.get("value")
    return list(value.get("choices", [])) if hasattr(value, "get") and "choices" in value else []


def _reading(found: Any) -> Reading[Any]:
    value = found.get("value")
    if hasattr(value, "get") and "index" in value:
        value = int(value["index"])
    stamp, alarm = found.get("timeStamp"), found.get("alarm")
    at = time.time() if stamp is None else stamp["secondsPastEpoch"] + 1e-9 * stamp["nanoseconds"]
    severity = 0 if alarm is None else alarm["severity"]
    if severity >= len(QUALITIES):
        return Reading(None, at, Quality.INVALID, alarm["message"] or "severity INVALID")
    return Reading(value, at, QUALITIES[severity])
