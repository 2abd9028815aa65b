"""The commands that every device has: its description, its reservation, its operations, its memorized values."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from devices.core.command import ArgumentSpec, CommandSpec, LiveCommand
from devices.core.datatype import DataType, Kind
from devices.core.errors import UnknownNameError
from devices.core.operations import ALL
from devices.core.reservation import LONGEST_NAME, LONGEST_S

if TYPE_CHECKING:
    from devices.core.device import Device

#: The type of status texts and of results in JSON.
LONG_TEXT = DataType(Kind.STRING, text_limit=1 << 20)
#: An operation's id; short enough for an EPICS string, 39 characters.
IDENTITY = ArgumentSpec("id", DataType.of(str, text_limit=39), doc="An operation's id", required=False, default="")
HOLDER = ArgumentSpec("name", DataType.of(str, text_limit=LONGEST_NAME), doc="Of the program or person that reserves")
SECONDS = ArgumentSpec("seconds", DataType.of(float), unit="s", limits=(0.0, LONGEST_S), doc="From now on")
HELD = ArgumentSpec(
    "name",
    HOLDER.datatype,
    doc="In whose name it is reserved; who reserved it leaves this away",
    required=False,
    default="",
)
NAME = ArgumentSpec("name", DataType.of(str), doc="The name of an attribute")


def add_standard_commands(device: Device) -> None:
    """Add ``describe``, ``reserve`` and ``release``; for operations ``abort``, ``operation_status`` and ``operations``;
    for memorized values ``memorized`` and ``apply_memorized``."""

    def add(
        name: str,
        doc: str,
        work: Callable[..., Awaitable[Any]],
        *arguments: ArgumentSpec,
        json_text: bool = False,
        stops: bool = False,
    ) -> None:
        # JSON for programs is no PV; what an operator does is one.
        spec = CommandSpec(
            name,
            arguments=arguments,
            result=LONG_TEXT if json_text else None,
            mirror=not json_text,
            reads_only=json_text,
            stops=stops,
            doc=doc,
        )
        device.add_command(LiveCommand(spec, device, work))

    async def describe() -> str:
        return device.interface.to_json()

    async def abort(id: str) -> None:
        device.operations.abort(id)
        if id in ALL:
            await device.aborted()

    async def operation_status(id: str) -> str:
        return json.dumps(device.operations.status(id))

    async def operations() -> str:
        return json.dumps(device.operations.all())

    async def reserve(name: str, seconds: float) -> None:
        device.reservation.take(name, seconds)

    async def release(name: str) -> None:
        device.reservation.give_back(name)

    async def memorized() -> str:
        return json.dumps(device.memory.values)

    async def apply_memorized(name: str) -> None:
        if name not in device.memory.values:
            raise UnknownNameError(f"no value of {name} is memorized")
        await device.put(name, device.memory.values[name])

    if any(command.spec.kind == "operation" for command in device.commands.values()):
        add("abort", "Abort an operation, or all of them", abort, IDENTITY, stops=True)
        add("operation_status", "One operation as JSON", operation_status, IDENTITY, json_text=True)
        add("operations", "The last operations as JSON", operations, json_text=True)
    if any(live.spec.memorized and live.has_hook for live in device.attributes.values()):
        add("apply_memorized", "Write a memorized value to the hardware", apply_memorized, NAME)
        add("memorized", "The memorized values as JSON", memorized, json_text=True)
    # Both look themselves at who asks.
    add(
        "reserve",
        "Have the device for oneself: others read only, until the time is over",
        reserve,
        HOLDER,
        SECONDS,
        stops=True,
    )
    add("release", "End a reservation", release, HELD, stops=True)
    add("describe", "Describe the device: JSON", describe, json_text=True)
