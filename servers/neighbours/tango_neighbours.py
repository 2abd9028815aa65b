"""Other Tango devices."""

from __future__ import annotations

import asyncio
import functools
import json
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import tango

from devices.core import Reading
from devices.core.errors import AbortedError, BadValueError, RefusedError, UnknownNameError
from devices.core.live import check_limits
from devices.core.neighbours import ANSWER_SECONDS, Changed, Facts, Neighbours, Progress, Watch
from servers.neighbours.tango_watch import TangoWatch, reading
from servers.tango_server.failures import failure, of_class
from servers.tango_server.retired import drop

#: How often the state of an operation is asked for, s.
OPERATION_PERIOD: Final = 0.2
WORKERS: Final = 16
#: What Tango's own answer leaves to the network, s.
MARGIN: Final = 0.5


def split(address: str) -> tuple[str, str]:
    """The device and the attribute or command of an address.

    Raises:
        BadValueError: it has not the form DOMAIN/FAMILY/MEMBER/NAME.
    """
    device, _, name = address.rpartition("/")
    plain = device.partition("#")[0].partition("://")[2].partition("/")[2] if "://" in device else device
    if plain.count("/") != 2 or not all(plain.split("/")) or not name:
        raise BadValueError(f"{address!r} is no address: DOMAIN/FAMILY/MEMBER/NAME, ca:NAME or pva:NAME")
    return device, name


class _Attribute(Watch):
    def __init__(self, owner: TangoNeighbours, watch: TangoWatch, name: str, changed: Changed) -> None:
        self._owner, self._watch, self._name, self._changed = owner, watch, name, changed

    def close(self) -> None:
        if self._watch.remove(self._name, self._changed):
            self._owner.forget(self._watch)


class TangoNeighbours(Neighbours):
    """Other Tango devices; calls run in a few threads, so that one that hangs does not hold up the rest.

    Args:
        full_name: makes of a device's name one that can be reached, with its database or server.
    """

    def __init__(self, full_name: Callable[[str], str] = str) -> None:
        self._full_name = full_name
        self._watches: dict[str, TangoWatch] = {}
        self._proxies: dict[str, Any] = {}
        self._pool = ThreadPoolExecutor(WORKERS, thread_name_prefix="neighbours")

    def watch(self, address: str, changed: Changed) -> Watch:
        device, name = split(address)
        key = device.lower()
        found = self._watches.get(key)
        if found is None:
            found = self._watches[key] = TangoWatch(self._name(device), asyncio.get_running_loop())
            found.start()
        found.add(name, changed)
        return _Attribute(self, found, name, changed)

    def forget(self, watch: TangoWatch) -> None:
        """Nobody watches this device any more."""
        watch.close()
        for key in [key for key, each in self._watches.items() if each is watch]:
            del self._watches[key]

    async def facts(self, address: str) -> Facts:
        device, name = split(address)
        config = await self._call(device, lambda proxy: proxy.get_attribute_config(name))
        return Facts(
            unit=_unit(config),
            limits=(_bound(config.min_value), _bound(config.max_value)),
            labels=tuple(config.enum_labels) if config.data_type == tango.CmdArgType.DevEnum else (),
            is_writable=config.writable != tango.AttrWriteType.READ,
            text=config.description if config.description != "No description" else "",
        )

    async def read(self, address: str) -> Reading[Any]:
        device, name = split(address)
        return reading(await self._call(device, lambda proxy: proxy.read_attribute(name)))

    async def put(self, address: str, value: Any, seconds: float = ANSWER_SECONDS) -> None:
        device, name = split(address)
        await self._call(device, lambda proxy: proxy.write_attribute(name, _fitting(proxy, name, value)), seconds)

    async def run(
        self, address: str, arguments: Mapping[str, Any], progress: Progress | None = None, seconds: float | None = None
    ) -> Any:
        device, name = split(address)
        spec = await self._call(device, functools.partial(_described, name=name))
        argument = await self._call(device, lambda proxy: _argument(proxy, name, spec, arguments))
        given = () if argument is None else (argument,)
        call = self._call(device, lambda proxy: proxy.command_inout(name, *given), seconds)
        if spec is None or spec["kind"] != "operation":
            answer = await call
            return json.loads(answer) if spec is not None and spec.get("json_result") and answer else answer
        beginning = asyncio.ensure_future(call)
        try:
            run = await asyncio.shield(beginning)
        except asyncio.CancelledError:
            # It may have begun: only its id, which is on its way, can end it.
            await asyncio.wait({beginning})
            if beginning.exception() is None:
                await self._abort(device, beginning.result())
            raise
        async with asyncio.timeout(seconds):
            return await self._followed(device, run, progress)

    async def close(self) -> None:
        for watch in self._watches.values():
            watch.close()
        self._watches.clear()
        self._pool.shutdown(wait=False, cancel_futures=True)

    async def _followed(self, device: str, run: str, progress: Progress | None) -> Any:
        try:
            while True:
                text = await self._call(device, lambda proxy: proxy.command_inout("operation_status", run))
                status = json.loads(text)
                if progress is not None:
                    progress(status["progress"], status["message"])
                if status["state"] == "DONE":
                    return status["result"]
                if status["state"] == "ABORTED":
                    raise AbortedError(status["error"] or f"{status['name']} was aborted")
                if status["state"] == "FAILED":
                    name, _, text = str(status["error"]).partition(": ")
                    raise of_class(name, text) or RefusedError(status["error"])
                await asyncio.sleep(OPERATION_PERIOD)
        except asyncio.CancelledError:
            await asyncio.shield(self._abort(device, run))
            raise

    async def _abort(self, device: str, run: str) -> None:
        await self._call(device, lambda proxy: proxy.command_inout("abort", run))

    async def _call(self, device: str, call: Callable[[Any], Any], seconds: float | None = None) -> Any:
        name = self._name(device)

        def work() -> Any:
            with tango.EnsureOmniThread():
                proxy = self._proxies.get(name)
                try:
                    if proxy is None:
                        proxy = self._proxies[name] = tango.DeviceProxy(name)
                    proxy.set_timeout_millis(int(1000 * ((seconds or ANSWER_SECONDS) + MARGIN)))
                    return call(proxy)
                except tango.DevFailed as failed:
                    drop(self._proxies.pop(name, None))  # a proxy that failed refuses to try again for a second
                    raise failure(failed) from None

        return await asyncio.get_running_loop().run_in_executor(self._pool, work)

    def _name(self, device: str) -> str:
        return device if "://" in device else self._full_name(device)


def _described(proxy: Any, name: str) -> dict[str, Any] | None:
    """How our own devices describe a command; None: another kind of device.

    Raises:
        UnknownNameError: there is no such command.
    """
    try:
        description = json.loads(proxy.command_inout("describe"))
        found = {each["name"]: each for each in description["commands"]}
    except (tango.DevFailed, ValueError, KeyError, TypeError):
        return None
    if name not in found:
        raise UnknownNameError(f"{proxy.dev_name()} has no command {name}; there are {', '.join(sorted(found))}")
    command: dict[str, Any] = found[name]
    return command


def _argument(proxy: Any, name: str, spec: dict[str, Any] | None, given: Mapping[str, Any]) -> Any:
    """The one Tango argument that named ones make."""
    if spec is None:
        kind = proxy.command_query(name).in_type
        if kind == tango.CmdArgType.DevVoid:
            return None
        if len(given) != 1:
            raise BadValueError(f"{name} takes one argument, not {len(given)}")
        return _converted(kind, next(iter(given.values())), name)
    known = [argument["name"] for argument in spec["arguments"]]
    if unknown := [each for each in given if each not in known]:
        raise BadValueError(f"{name} has no argument {', '.join(unknown)}; it has {', '.join(known) or 'none'}")
    if not known:
        return None
    if len(known) > 1:
        return json.dumps(dict(given))
    if not given:
        raise BadValueError(f"{name}: {known[0]} is missing")
    return _converted(proxy.command_query(name).in_type, given[known[0]], name)


def _fitting(proxy: Any, name: str, value: Any) -> Any:
    config = proxy.get_attribute_config(name)
    labels = list(config.enum_labels)
    if config.data_type == tango.CmdArgType.DevEnum and isinstance(value, str) and value in labels:
        return labels.index(value)
    converted = _converted(config.data_type, value, name)
    if config.data_type in (*INTEGERS, *REALS):
        # Tango would say neither the value nor the bound.
        check_limits(name, converted, (_bound(config.min_value), _bound(config.max_value)), _unit(config))
    return converted


INTEGERS: Final = {
    *(tango.CmdArgType.DevShort, tango.CmdArgType.DevLong, tango.CmdArgType.DevLong64, tango.CmdArgType.DevUChar),
    *(tango.CmdArgType.DevUShort, tango.CmdArgType.DevULong, tango.CmdArgType.DevULong64, tango.CmdArgType.DevEnum),
}
REALS: Final = (tango.CmdArgType.DevDouble, tango.CmdArgType.DevFloat)
WORDS: Final = {"1": True, "true": True, "on": True, "yes": True, "0": False, "false": False, "off": False, "no": False}


def _converted(kind: Any, value: Any, name: str) -> Any:
    """A text as the type that is wanted; anything else as it is.

    Raises:
        BadValueError: the text means no such thing.
    """
    if not isinstance(value, str):
        return str(value) if kind == tango.CmdArgType.DevString else value
    try:
        if kind in INTEGERS:
            return int(value, 0)
        if kind in REALS:
            return float(value)
        if kind == tango.CmdArgType.DevBoolean:
            return WORDS[value.lower()]
    except (ValueError, KeyError):
        raise BadValueError(f"{name} = {value!r}: not {kind}") from None
    return value


def _bound(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _unit(config: Any) -> str:
    return "" if config.unit == "No unit" else str(config.unit)
