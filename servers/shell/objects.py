"""Devices as objects to type with: ``cryocon1.setpoint_1 = 77.0``, ``exposure.expose(2.0, "flat")``."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

import numpy as np

from devices.core.command import CommandSpec
from servers.azcam.camera import Camera
from servers.azcam.method import Method, Table
from servers.azcam.tool import Tool
from servers.shell.remote_device import RemoteDevice

_KINDS: Final = inspect.Parameter


class TangoTool(Tool):
    """A tool of a camera that is reached through Tango: the remote methods of azcam's table work on it, too.

    Its coroutines never wait for anything but Tango, so they run to their end when they are stepped once.
    """

    def __init__(self, device: RemoteDevice) -> None:
        self.device = device

    def value(self, attribute: str) -> Any:
        found = self.device.get(attribute)
        return found.tolist() if isinstance(found, np.ndarray | np.generic) else found

    async def put(self, attribute: str, value: Any) -> None:
        self.device.put(attribute, value)

    async def run(self, command: str, **words: Any) -> Any:
        return self.device.run(command, (), words)

    async def done(self, operation: str, **words: Any) -> Any:
        return self.device.done(operation, (), words, show_progress)


class DeviceObject:
    """A device: attributes to read and to set, commands to call; operations are waited for, Ctrl-C aborts them."""

    def __init__(self, device: RemoteDevice) -> None:
        self.__dict__["_device"] = device
        self.__dict__["__doc__"] = device.interface.doc

    def __getattr__(self, name: str) -> Any:
        device: RemoteDevice = self.__dict__["_device"]
        if name in device.commands:
            return _command(device, device.commands[name])
        if name in device.attributes:
            return device.get(name)
        raise AttributeError(f"{device.name} has no attribute or command {name}")

    def __setattr__(self, name: str, value: Any) -> None:
        device: RemoteDevice = self.__dict__["_device"]
        if name not in device.attributes:
            raise AttributeError(f"{device.name} has no attribute {name}")
        device.put(name, value)

    def __dir__(self) -> Iterable[str]:
        device: RemoteDevice = self.__dict__["_device"]
        return [*device.attributes, *device.commands]

    def __repr__(self) -> str:
        device: RemoteDevice = self.__dict__["_device"]
        try:
            state = str(device.client.state())
        except Exception as error:
            state = f"no answer: {error}"
        return f"<{device.name}, {device.interface.device_class}, {state}>"


class ToolObject(DeviceObject):
    """A tool of a camera: azcam's methods first, then what the device has."""

    def __init__(self, device: RemoteDevice, camera: Camera, tool: Tool, table: Table) -> None:
        super().__init__(device)
        self.__dict__["_methods"] = {name: bound(camera, tool, name, each) for name, each in table.items()}

    def __getattr__(self, name: str) -> Any:
        methods: Mapping[str, Any] = self.__dict__["_methods"]
        return methods[name] if name in methods else super().__getattr__(name)

    def __dir__(self) -> Iterable[str]:
        return {*self.__dict__["_methods"], *super().__dir__()}


def bound(camera: Camera, tool: Tool, name: str, method: Method) -> Callable[..., Any]:
    """A remote method as a function."""

    def call(*given: Any, **named: Any) -> Any:
        return finished(method.action(camera, tool, method.arguments.bind(given, named)))

    call.__name__, call.__doc__ = name, method.doc
    call.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [
            inspect.Parameter(each.name, _KINDS.POSITIONAL_OR_KEYWORD, default=_KINDS.empty if each.required else None)
            for each in sorted(method.arguments.all, key=lambda each: not each.required)
        ]
    )
    return call


def finished(value: Any) -> Any:
    """What a coroutine that never waits gives; anything else as it is."""
    if not inspect.iscoroutine(value):
        return value
    try:
        value.send(None)
    except StopIteration as end:
        return end.value
    value.close()
    raise RuntimeError("a method of the shell waits for something")


def show_progress(percent: float, message: str) -> None:
    """One line that is written again and again, where a person looks."""
    if sys.stderr.isatty():
        end = "\n" if percent >= 100.0 else ""
        print(f"\r{percent:3.0f} %  {message:60.60}", end=end, file=sys.stderr, flush=True)


def _command(device: RemoteDevice, spec: CommandSpec) -> Callable[..., Any]:
    def call(*given: Any, **named: Any) -> Any:
        if spec.kind == "operation":
            return device.done(spec.name, given, named, show_progress)
        return device.run(spec.name, given, named)

    call.__name__ = spec.name
    lines = [spec.doc, *(f"{each.name}: {each.unit} {each.doc}".strip() for each in spec.arguments)]
    call.__doc__ = "\n".join(lines)
    call.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [
            inspect.Parameter(
                each.name, _KINDS.POSITIONAL_OR_KEYWORD, default=_KINDS.empty if each.required else each.default
            )
            for each in sorted(spec.arguments, key=lambda each: not each.required)
        ]
    )
    return call
