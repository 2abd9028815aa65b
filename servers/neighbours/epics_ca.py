"""PVs of Channel Access, through caproto's client; it is told where they are, whatever the environment says."""

from __future__ import annotations

import asyncio
import builtins
import contextlib
import time
from collections.abc import Sequence
from typing import Any, Final

import caproto
from caproto.asyncio.client import Context, SharedBroadcaster

from devices.core import Quality, Reading
from devices.core.errors import NotAllowedError, NotConnectedError, RefusedError, TimeoutError
from devices.core.live import check_limits
from devices.core.neighbours import ANSWER_SECONDS, Changed, Facts, Watch

#: A PV that nobody has is one that is away: searched for again and again.
AWAY: Final = "no server has it"
QUALITIES: Final = (Quality.VALID, Quality.WARNING, Quality.ALARM)
#: A server that says nothing for so long is asked; caproto's own 30 s are long for a beamline.
SILENCE_SECONDS: Final = 5.0


class _Broadcaster(SharedBroadcaster):  # type: ignore[misc]
    """Searches at given addresses only, and needs no repeater: a lost server is found by its connection."""

    def __init__(self, addresses: Sequence[tuple[str, int]]) -> None:
        super().__init__(registration_retry_time=None)
        self._addresses = tuple(addresses)
        self.environ: dict[str, Any] = {**self.environ, "EPICS_CA_CONN_TMO": SILENCE_SECONDS}

    async def send(self, *commands: Any) -> None:
        data = self.broadcaster.send(*commands)
        for address in self._addresses:
            await self.wrapped_transport.sendto(data, address)

    async def _register(self) -> None:
        return


class _Subscribed(Watch):
    def __init__(self, pvs: CaPvs, name: str, changed: Changed) -> None:
        self._pvs, self._name = pvs, name
        self.changed = changed
        self.is_open = True
        self._loop = asyncio.get_running_loop()
        # Kept here: neither the loop nor caproto holds more than weak references to tasks and callbacks.
        pvs.watches.add(self)
        self.task = asyncio.create_task(self._run(), name=f"ca {name}")

    def close(self) -> None:
        self.is_open = False
        self._pvs.watches.discard(self)
        self.task.cancel()

    def _tell(self, reading: Reading[Any]) -> None:
        if self.is_open:
            self.changed(reading)

    # caproto calls these in a thread of its own.

    def _connection(self, pv: Any, state: str) -> None:
        if state == "disconnected":
            self._tell_from_thread(_invalid(f"{self._name} is away"))

    def _value(self, subscription: Any, response: Any) -> None:
        self._tell_from_thread(_reading(response))

    def _tell_from_thread(self, reading: Reading[Any]) -> None:
        with contextlib.suppress(RuntimeError):  # the loop has ended
            self._loop.call_soon_threadsafe(self._tell, reading)

    async def _run(self) -> None:
        kept = (self._connection, self._value)
        (pv,) = await self._pvs.context.get_pvs(self._name, connection_state_callback=kept[0])
        if not pv.connected:
            self._tell(_invalid(f"{self._name}: {AWAY}"))
        subscription = pv.subscribe(data_type="time")
        token = subscription.add_callback(kept[1])
        try:
            await asyncio.Event().wait()  # until it is closed
        finally:
            await subscription.remove_callback(token)


class CaPvs:
    """PVs by name.

    Args:
        addresses: of servers, host and UDP port.
    """

    def __init__(self, addresses: Sequence[tuple[str, int]]) -> None:
        self._addresses = addresses
        self._context: Any = None
        self.watches: set[_Subscribed] = set()

    @property
    def context(self) -> Any:
        if self._context is None:
            self._context = Context(_Broadcaster(self._addresses), timeout=ANSWER_SECONDS)
        return self._context

    def watch(self, name: str, changed: Changed) -> Watch:
        return _Subscribed(self, name, changed)

    async def facts(self, name: str) -> Facts:
        pv = await self._pv(name)
        found = (await self._answered(name, pv.read(data_type="control"))).metadata
        low, high = getattr(found, "lower_ctrl_limit", None), getattr(found, "upper_ctrl_limit", None)
        labels = tuple(_text(label) for label in getattr(found, "enum_strings", ()))
        return Facts(
            unit=_text(getattr(found, "units", b"")),
            limits=(None, None) if low == high else (low, high),
            labels=labels,
            is_writable=bool(pv.access_rights & caproto.AccessRights.WRITE),
        )

    async def read(self, name: str) -> Reading[Any]:
        pv = await self._pv(name)
        found = _reading(await self._answered(name, pv.read(data_type="time")))
        if pv.channel.native_data_type == caproto.ChannelType.ENUM and found.value is not None:
            labels = (await self.facts(name)).labels
            if int(found.value) < len(labels):
                return Reading(labels[int(found.value)], found.timestamp, found.quality, found.reason)
        return found

    async def put(self, name: str, value: Any, seconds: float) -> None:
        pv = await self._pv(name)
        if not pv.access_rights & caproto.AccessRights.WRITE:
            raise NotAllowedError(f"{name} takes no values from here")
        kind = pv.channel.native_data_type
        if isinstance(value, str) and kind in NUMBERS:
            value = int(float(value)) if kind in WHOLE else float(value)
        elif kind == caproto.ChannelType.STRING or isinstance(value, str):
            value = [str(value).encode()] if kind != caproto.ChannelType.CHAR else str(value).encode()
        if kind in NUMBERS and isinstance(value, int | float):
            facts = await self.facts(name)
            check_limits(name, value, facts.limits, facts.unit)
        data_type = caproto.ChannelType.STRING if kind == caproto.ChannelType.ENUM and isinstance(value, list) else None
        answer = await self._answered(name, pv.write(value, data_type=data_type, timeout=seconds), seconds)
        if answer is not None and not answer.status.success:
            raise RefusedError(f"{name} = {value}: {answer.status.description}")

    async def close(self) -> None:
        watches = list(self.watches)
        for watch in watches:
            watch.close()
        if watches:
            await asyncio.wait([watch.task for watch in watches], timeout=1.0)
        if self._context is not None:
            await self._context.disconnect()

    async def _pv(self, name: str) -> Any:
        (pv,) = await self.context.get_pvs(name)
        try:
            await pv.wait_for_connection(timeout=ANSWER_SECONDS)
        except (builtins.TimeoutError, caproto.CaprotoError):
            raise NotConnectedError(f"{name}: {AWAY}") from None
        return pv

    async def _answered(self, name: str, work: Any, seconds: float = ANSWER_SECONDS) -> Any:
        try:
            return await work
        except builtins.TimeoutError:
            raise TimeoutError(f"{name} did not answer within {seconds:g} s") from None
        except caproto.ErrorResponseReceived as error:
            raise RefusedError(f"{name}: {error}") from None
        except (caproto.CaprotoError, OSError) as error:
            raise NotConnectedError(f"{name}: {error}") from None


NUMBERS: Final = frozenset(
    (caproto.ChannelType.INT, caproto.ChannelType.LONG, caproto.ChannelType.FLOAT, caproto.ChannelType.DOUBLE)
)
WHOLE: Final = frozenset((caproto.ChannelType.INT, caproto.ChannelType.LONG))


def _reading(response: Any) -> Reading[Any]:
    """A value with the time and the severity of its record; one element is a scalar, characters are a text."""
    metadata, data = response.metadata, response.data
    is_text = response.data_type in (caproto.ChannelType.TIME_CHAR, caproto.ChannelType.CHAR) and len(data) != 1
    values = [_plain(each) for each in data] if len(data) == 1 or isinstance(data[:1], list) else data
    value: Any = _text(bytes(data)) if is_text else values[0] if len(values) == 1 else values
    at = float(getattr(metadata, "timestamp", 0.0) or time.time())
    severity = int(metadata.severity)
    if severity >= len(QUALITIES):
        return Reading(None, at, Quality.INVALID, f"severity INVALID, status {int(metadata.status)}")
    return Reading(value, at, QUALITIES[severity])


def _plain(element: Any) -> Any:
    if isinstance(element, bytes):
        return _text(element)
    return element.item() if hasattr(element, "item") else element


def _text(data: Any) -> str:
    return bytes(data).partition(b"\0")[0].decode("utf-8", "replace") if not isinstance(data, str) else data


def _invalid(reason: str) -> Reading[Any]:
    return Reading(None, time.time(), Quality.INVALID, reason)
