"""A person's quick look at any Tango device of the facility: ls, get, put, monitor, call, describe."""

from __future__ import annotations

import json
import queue
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

import tango

from devices.core.errors import BadValueError, DiptychError, InvalidReadingError, NotConnectedError, UnknownNameError
from servers.facility import value_text
from servers.facility.place import database_of
from servers.facility.spelling import did_you_mean
from servers.facility.tango_database import open_database

TIMEOUT_MILLISECONDS: Final = 5000
LIST_TIMEOUT_MILLISECONDS: Final = 1000
OPERATION_POLL_SECONDS: Final = 0.3


def list_devices(pattern: str, *, state_dir: Path, tango_host: str | None) -> Iterator[str]:
    """One line for each device that runs: name, State, class, server."""
    host = database_of(state_dir, tango_host)
    with ThreadPoolExecutor(16) as pool:  # one that hangs costs seconds, and several as much as one
        rows = list(pool.map(lambda name: _device_row(host, name), _devices(host, pattern)))
    widths = [max((len(row[column]) for row in rows), default=0) for column in range(3)]
    for row in rows:
        yield "  ".join(text.ljust(width) for text, width in zip(row, [*widths, 0], strict=True)).rstrip()


def get(path: str, *, state_dir: Path, tango_host: str | None) -> str:
    """The value of an attribute with its unit, and its quality when that is not VALID.

    Raises:
        InvalidReadingError: there is no valid value.
    """
    proxy, name = _split(path, state_dir, tango_host)
    config = _configuration(proxy, name)
    return _reading_text(proxy.read_attribute(name), config)


def put(path: str, words: Sequence[str], *, state_dir: Path, tango_host: str | None) -> None:
    """Write an attribute from text.

    Raises:
        BadValueError: the text is not of the attribute's type.
    """
    proxy, name = _split(path, state_dir, tango_host)
    config = _configuration(proxy, name)
    value = value_text.parse(name, words, config.data_type, config.data_format, tuple(config.enum_labels))
    proxy.write_attribute(name, value)


def monitor(paths: Iterable[str], count: int | None, *, state_dir: Path, tango_host: str | None) -> Iterator[str]:
    """One line for each change event, the present values first; ends after ``count`` lines or at Ctrl-C."""
    arrivals: queue.SimpleQueue[tuple[str, Any, tango.EventData]] = queue.SimpleQueue()
    subscriptions = []
    try:
        for path in paths:
            proxy, name = _split(path, state_dir, tango_host)
            config = _configuration(proxy, name)

            def arrive(event: tango.EventData, path: str = path, config: Any = config) -> None:
                arrivals.put((path, config, event))

            subscriptions.append((proxy, proxy.subscribe_event(name, tango.EventType.CHANGE_EVENT, arrive)))
        shown = 0
        while count is None or shown < count:
            yield _event_line(*arrivals.get())
            shown += 1
    except KeyboardInterrupt:
        return
    finally:
        for proxy, subscription in subscriptions:
            proxy.unsubscribe_event(subscription)


def call(path: str, words: Sequence[str], wait: bool, *, state_dir: Path, tango_host: str | None) -> Iterator[str]:
    """Run a command and give its result; of an operation its id, or with ``wait`` its progress and result.

    Raises:
        BadValueError: an argument is not of its type, or has no name where several are possible.
    """
    proxy, name = _split(path, state_dir, tango_host)
    try:
        info = proxy.get_command_config(name)
    except tango.DevFailed:
        known = [command.cmd_name for command in proxy.command_list_query()]
        raise UnknownNameError(f"{proxy.dev_name()} has no command {name}{did_you_mean(name, known)}") from None
    command = _described_command(proxy, name)
    result = proxy.command_inout(name, *_argument(name, words, info.in_type, command))
    if wait and command.get("kind") == "operation":
        yield from _operation_lines(proxy, str(result))
    elif info.out_type != tango.CmdArgType.DevVoid:
        yield value_text.show(result)


def describe(device: str, as_json: bool, *, state_dir: Path, tango_host: str | None) -> Iterator[str]:
    """What a device has, for people or, with ``as_json``, for programs."""
    proxy = _named(device, state_dir, tango_host)
    description = _description(proxy)
    if description is None:
        yield from _foreign_description(proxy)
    elif as_json:
        yield json.dumps(description, indent=1)
    else:
        yield from _description_lines(description)


def _devices(host: str, pattern: str) -> list[str]:
    names = open_database(host).get_device_exported(pattern if "/" in pattern else f"*{pattern}*")
    return [name for name in names if not name.startswith(("dserver/", "sys/database/"))]


def _device_row(host: str, name: str) -> tuple[str, str, str, str]:
    try:
        proxy = _proxy(host, name)
        proxy.set_timeout_millis(LIST_TIMEOUT_MILLISECONDS)
        state = str(proxy.state())
        info = proxy.info()
    except tango.DevFailed:
        return name, "no answer", "", ""
    return name, state, info.dev_class, info.server_id


def _proxy(host: str, device: str) -> tango.DeviceProxy:
    try:
        proxy = tango.DeviceProxy(device if "://" in device else f"tango://{host}/{device}")
    except tango.DevFailed as error:
        reason = error.args[0].reason
        if reason in ("API_CantConnectToDatabase", "API_CorbaException"):
            raise NotConnectedError(f"no Tango database answers at {host or device}") from None
        if reason not in ("DB_DeviceNotDefined", "API_WrongDeviceNameSyntax"):
            raise
        known = [] if "://" in device else _devices(host, "*")
        raise UnknownNameError(f"there is no device {device} at {host}{did_you_mean(device, known)}") from None
    proxy.set_timeout_millis(TIMEOUT_MILLISECONDS)
    return proxy


def _named(device: str, state_dir: Path, tango_host: str | None) -> tango.DeviceProxy:
    """A device by its full Tango name (which needs no facility), or by its name in the facility's database."""
    return _proxy("" if "://" in device else database_of(state_dir, tango_host), device)


def _split(path: str, state_dir: Path, tango_host: str | None) -> tuple[tango.DeviceProxy, str]:
    """A device and the name of one of its attributes or commands, from ``cryo/cryocon/1/setpoint_1``."""
    whole, _, suffix = path.partition("#")
    device, slash, name = whole.rpartition("/")
    if not slash or not name or device.count("/") < 2:
        raise BadValueError(f"{path} is not of the form domain/family/member/name, as in cryo/cryocon/1/setpoint_1")
    return _named(f"{device}#{suffix}" if suffix else device, state_dir, tango_host), name


def _configuration(proxy: tango.DeviceProxy, name: str) -> Any:
    try:
        return proxy.get_attribute_config(name)
    except tango.DevFailed as error:
        if error.args[0].reason != "API_AttrNotFound":
            raise
        hint = did_you_mean(name, proxy.get_attribute_list())
        raise UnknownNameError(f"{proxy.dev_name()} has no attribute {name}{hint}") from None


def _reading_text(reading: tango.DeviceAttribute, config: Any) -> str:
    if reading.quality == tango.AttrQuality.ATTR_INVALID or reading.value is None:
        raise InvalidReadingError(f"{reading.name} has no valid value at present")
    text = value_text.show(reading.value, tuple(config.enum_labels))
    unit = f" {config.unit}" if config.unit else ""
    if reading.quality == tango.AttrQuality.ATTR_VALID:
        return f"{text}{unit}"
    return f"{text}{unit}  {str(reading.quality).removeprefix('ATTR_')}"


def _event_line(path: str, config: Any, event: tango.EventData) -> str:
    if event.err:
        return f"{_clock(time.time())}  {path}  {event.errors[0].reason}: {event.errors[0].desc}"
    try:
        text = _reading_text(event.attr_value, config)
    except InvalidReadingError:
        text = "INVALID"
    return f"{_clock(event.attr_value.time.totime())}  {path}  {text}"


def _clock(seconds: float) -> str:
    return f"{time.strftime('%H:%M:%S', time.localtime(seconds))}.{int(seconds % 1 * 1000):03d}"


def _description(proxy: tango.DeviceProxy) -> dict[str, Any] | None:
    """The device's own description; None for a device that is not of this project."""
    try:
        description: dict[str, Any] = json.loads(proxy.command_inout("describe"))
    except (tango.DevFailed, ValueError):
        return None
    return description


def _described_command(proxy: tango.DeviceProxy, name: str) -> dict[str, Any]:
    commands = (_description(proxy) or {}).get("commands", [])
    return next((command for command in commands if command["name"].casefold() == name.casefold()), {})


def _argument(name: str, words: Sequence[str], in_type: tango.CmdArgType, command: dict[str, Any]) -> list[Any]:
    if in_type == tango.CmdArgType.DevVoid:
        if words:
            raise BadValueError(f"{name} takes no argument, not {' '.join(words)}")
        return []
    arguments = command.get("arguments", [])
    if len(arguments) > 1 and not (len(words) == 1 and words[0].lstrip().startswith("{")):
        return [json.dumps(dict(_argument_of(name, word, arguments) for word in words))]
    if len(arguments) == 1:  # naming a single argument is allowed too
        words = [word.removeprefix(f"{arguments[0]['name']}=") for word in words]
    if not words:
        raise BadValueError(f"{name} needs an argument of the type {in_type}")
    return [value_text.parse_argument(name, words, in_type)]


def _argument_of(name: str, word: str, arguments: Sequence[dict[str, Any]]) -> tuple[str, Any]:
    key, equals, text = word.partition("=")
    known = {argument["name"]: argument for argument in arguments}
    if not equals or key not in known:
        raise BadValueError(f"{word} is no argument of {name} as NAME=VALUE{did_you_mean(key, known)}")
    if known[key]["type"] in ("string", "enum") and not known[key]["shape"]:
        return key, text
    try:
        return key, json.loads(text)
    except ValueError:
        return key, text  # the device says what is wrong with it


def _operation_lines(proxy: tango.DeviceProxy, operation: str) -> Iterator[str]:
    shown = ""
    while True:
        status = json.loads(proxy.command_inout("operation_status", operation))
        line = f"{status['state']}  {status['progress']:.0f} %  {status['message']}".rstrip()
        if line != shown:
            yield line
            shown = line
        if status["state"] in ("FAILED", "ABORTED"):
            raise DiptychError(f"{status['name']} {status['state'].lower()}: {status['error']}")
        if status["state"] == "DONE":
            if status["result"] is not None:
                yield value_text.show(status["result"])
            return
        time.sleep(OPERATION_POLL_SECONDS)


def _description_lines(description: dict[str, Any]) -> Iterator[str]:
    yield f"{description['device_class']}: {description['doc']}".rstrip(": ")
    if description["pv_prefix"]:
        yield f"PVs begin with {description['pv_prefix']}"
    yield "attributes"
    for attribute in description["attributes"]:
        limits = attribute["limits"]
        yield _row(
            attribute["name"],
            _type(attribute),
            attribute["access"],
            attribute["unit"],
            f"[{_bound(limits[0])}, {_bound(limits[1])}]" if limits else "",
            attribute["doc"],
        )
    yield "commands"
    for command in description["commands"]:
        arguments = ", ".join(f"{argument['name']}: {_type(argument)}" for argument in command["arguments"])
        result = _type(command["result"]) if command["result"] else ""
        yield _row(f"{command['name']}({arguments})", result, command["kind"], "", "", command["doc"])


def _foreign_description(proxy: tango.DeviceProxy) -> Iterator[str]:
    info = proxy.info()
    yield f"{info.dev_class} in {info.server_id}; it has no description of its own"
    yield "attributes"
    for config in proxy.attribute_list_query():
        kind = f"{tango.CmdArgType.values[config.data_type]} {config.data_format}"
        yield _row(config.name, kind, str(config.writable), config.unit, "", config.description)
    yield "commands"
    for command in proxy.command_list_query():
        yield _row(command.cmd_name, f"{command.in_type} -> {command.out_type}", "", "", "", command.in_type_desc)


def _row(name: str, *columns: str) -> str:
    return "  ".join(filter(None, [f"  {name:28}", *columns]))


def _type(item: dict[str, Any]) -> str:
    shape = "".join(f"[{length}]" for length in item["shape"])
    return f"{item['type']}{shape}" + (f" ({'|'.join(item['labels'])})" if item["labels"] else "")


def _bound(value: float | None) -> str:
    return "-" if value is None else f"{value:g}"
