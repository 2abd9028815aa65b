"""Asks a Tango device what it has, so that any device will do.

Types, units, bounds and labels come from the Tango attribute configuration (there a site may override them). A device
that can ``describe`` itself adds what Tango cannot say: PV names, text limits, operations, named arguments.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

import tango
from tango import AttrDataFormat, AttrWriteType, CmdArgType

from devices.core.errors import DiptychError, ProtocolError
from devices.core.json_text import read_json_text
from servers.epics import names
from servers.epics.alarm import STATES
from servers.epics.configuration import MirroredDevice
from servers.epics.declaration import ArgumentSpec, AttributeSpec, CommandSpec, DeviceSpec
from servers.epics.records import Facts, Kind

MAX_DESCRIPTION = 4 << 20  # bytes of a description that are accepted

KINDS = {
    CmdArgType.DevBoolean: Kind.BOOL, CmdArgType.DevUChar: Kind.UINT8, CmdArgType.DevShort: Kind.INT16,
    CmdArgType.DevUShort: Kind.UINT16, CmdArgType.DevLong: Kind.INT32, CmdArgType.DevULong: Kind.UINT32,
    CmdArgType.DevLong64: Kind.INT64, CmdArgType.DevULong64: Kind.UINT64, CmdArgType.DevFloat: Kind.FLOAT32,
    CmdArgType.DevDouble: Kind.FLOAT64, CmdArgType.DevString: Kind.STRING, CmdArgType.DevState: Kind.ENUM,
    CmdArgType.DevEnum: Kind.ENUM, CmdArgType.DevEncoded: Kind.UINT8,
}  # fmt: skip
ARRAY_KINDS = {
    CmdArgType.DevVarBooleanArray: Kind.BOOL, CmdArgType.DevVarCharArray: Kind.UINT8,
    CmdArgType.DevVarShortArray: Kind.INT16, CmdArgType.DevVarUShortArray: Kind.UINT16,
    CmdArgType.DevVarLongArray: Kind.INT32, CmdArgType.DevVarULongArray: Kind.UINT32,
    CmdArgType.DevVarLong64Array: Kind.INT64, CmdArgType.DevVarULong64Array: Kind.UINT64,
    CmdArgType.DevVarFloatArray: Kind.FLOAT32, CmdArgType.DevVarDoubleArray: Kind.FLOAT64,
    CmdArgType.DevVarStringArray: Kind.STRING,
}  # fmt: skip
RANKS = {AttrDataFormat.SCALAR: 0, AttrDataFormat.SPECTRUM: 1, AttrDataFormat.IMAGE: 2}
ACCESS = {
    AttrWriteType.READ: "read", AttrWriteType.READ_WITH_WRITE: "read", AttrWriteType.READ_WRITE: "read_write",
    AttrWriteType.WRITE: "write",
}  # fmt: skip
COMMAND_ARRAY = 10_000  # elements of a command's array argument or result
ENCODED_LENGTH = 4 << 20  # bytes of a DevEncoded
TANGO_DEFAULT_FORMAT = "%6.2f"


def read_device(proxy: Any, wanted: MirroredDevice) -> DeviceSpec:
    """Ask a running device what it has.

    Args:
        proxy: a ``tango.DeviceProxy``.
        wanted: what the site says about it.
    Raises:
        tango.DevFailed: it cannot be asked now.
        DiptychError: what it says cannot be used.
    """
    try:
        return _read_device(proxy, wanted)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ProtocolError(f"the description of {proxy.dev_name()} is wrong: {type(error).__name__} {error}") from None


def _read_device(proxy: Any, wanted: MirroredDevice) -> DeviceSpec:
    queried = {command.cmd_name.lower(): command for command in proxy.command_list_query()}
    described = _describe(proxy, queried.get("describe"))
    declared = {attribute["name"].lower(): attribute for attribute in described.get("attributes", ())}
    reader = _Reader(wanted)
    infos = proxy.attribute_list_query_ex()
    attributes = [reader.attribute(info, declared.get(info.name.lower())) for info in infos]
    if described:
        commands = [reader.described_command(command) for command in described.get("commands", ())]
    else:
        allowed = {name.lower(): name for name in wanted.mirror_commands}
        reader.notes += [f"there is no command {allowed[name]} to mirror" for name in allowed if name not in queried]
        commands = [reader.plain_command(info) for name, info in queried.items() if name in allowed]
    present = {info.name.lower() for info in infos} | set(queried)
    reader.notes += [f"there is no {name} for pv_names" for name in wanted.pv_names if name.lower() not in present]
    return DeviceSpec(
        prefix=_prefix(proxy, wanted, described),
        attributes=tuple(attribute for attribute in attributes if attribute is not None),
        commands=tuple(command for command in commands if command is not None),
        has_operations=bool(described) and "operation_status" in queried,
        notes=tuple(reader.notes),
    )


def _describe(proxy: Any, command: Any) -> dict[str, Any]:
    """What the device says of itself; nothing when it has no such command, or one of its own that only is named so."""
    if command is None or (command.in_type, command.out_type) != (CmdArgType.DevVoid, CmdArgType.DevString):
        return {}
    text = proxy.command_inout("describe")
    if len(text) > MAX_DESCRIPTION:
        raise ProtocolError(f"the description of {proxy.dev_name()} is over {MAX_DESCRIPTION} bytes")
    try:
        described = read_json_text(text)
    except ValueError:
        return {}
    if not isinstance(described, dict) or "format" not in described:
        return {}
    if described["format"] != 1:
        raise ProtocolError(f"the description of {proxy.dev_name()} is of format {described['format']}, not 1")
    return described


def _prefix(proxy: Any, wanted: MirroredDevice, described: Mapping[str, Any]) -> str:
    """The site's word, or the device's, or the device property ``pv_prefix``."""
    prefix = wanted.prefix if wanted.prefix is not None else described.get("pv_prefix")
    if prefix is None and "#dbase=no" not in proxy.name() and proxy.is_dbase_used():
        values = proxy.get_property("pv_prefix")["pv_prefix"]
        prefix = values[0] if values else None
    if not prefix:
        raise ProtocolError(f"{proxy.dev_name()} has no PV prefix: set its device property pv_prefix, or configure one")
    return str(prefix)


class _Reader:
    """Turns what a device says into declarations; ``notes`` tell what of it has no PV, or another one than expected."""

    def __init__(self, wanted: MirroredDevice) -> None:
        self._wanted = wanted
        self._names = {name.lower(): pv for name, pv in wanted.pv_names.items()}
        self.notes: list[str] = []

    def attribute(self, info: Any, declared: Mapping[str, Any] | None) -> AttributeSpec | None:
        """One attribute; None when it is not to be mirrored or of a type that EPICS has no place for."""
        said = declared or {}
        if not said.get("mirror", True) or self._wanted.leaves_out(info.name):
            return None
        kind, rank = KINDS.get(CmdArgType(info.data_type)), RANKS.get(info.data_format, -1)
        if kind is None or rank < 0:
            what = f"{CmdArgType(info.data_type)} {info.data_format}"
            self.notes.append(f"attribute {info.name} is not mirrored: EPICS has no place for {what}")
            return None
        base = self._base(info.name, said.get("pv_name"))
        if base is None:
            return None
        encoded = info.data_type == CmdArgType.DevEncoded
        type_name = "encoded" if encoded else "state" if info.data_type == CmdArgType.DevState else kind.value
        return AttributeSpec(
            name=info.name,
            base=base,
            kind=kind,
            type_name=type_name,
            rank=1 if encoded else rank,
            max_length=ENCODED_LENGTH if encoded else info.max_dim_x * max(1, info.max_dim_y),
            access=names.served_access(type_name, rank, ACCESS[info.writable]),
            level=said.get("level") or ("expert" if info.disp_level == tango.DispLevel.EXPERT else "operator"),
            text_limit=int(said.get("text_limit") or self._wanted.text_limit),
            facts=facts_of(info, said),
            colour=said.get("colour") or "",
            highest=said.get("highest") or "",
            period=(said.get("change") or {}).get("period"),
        )

    def described_command(self, said: Mapping[str, Any]) -> CommandSpec | None:
        base = self._base(said["name"], said.get("pv_name")) if said.get("mirror", True) else None
        if base is None:
            return None
        return CommandSpec(
            name=said["name"],
            base=base,
            is_operation=said["kind"] == "operation",
            arguments=tuple(self._argument(argument) for argument in said["arguments"]),
            result=self._argument({"name": "result"} | said["result"]) if said.get("result") else None,
            level=said.get("level", "operator"),
            doc=said.get("doc", ""),
            when_busy=_when_busy(said),
            described=True,
            is_dangerous=bool(said.get("dangerous")),
            reads_only=bool(said.get("reads_only")),
            stops=bool(said.get("stops")),
        )

    def plain_command(self, info: Any) -> CommandSpec | None:
        """A command of a device that does not describe itself."""
        base = self._base(info.cmd_name, None)
        argument, result = _plain_type(info.in_type), _plain_type(info.out_type)
        if base is None:
            return None
        if argument is None or result is None:
            what = CmdArgType(info.in_type if argument is None else info.out_type)
            self.notes.append(f"command {info.cmd_name} is not mirrored: EPICS has no place for {what}")
            return None
        return CommandSpec(
            name=info.cmd_name,
            base=base,
            is_operation=False,
            arguments=argument,
            result=result[0] if result else None,
            level="expert" if info.disp_level == tango.DispLevel.EXPERT else "operator",
            doc=info.in_type_desc if info.in_type_desc != "Uninitialised" else "",
            when_busy="refuse",
            described=False,
        )

    def _argument(self, said: Mapping[str, Any]) -> ArgumentSpec:
        limits = said.get("limits") or (None, None)
        return ArgumentSpec(
            name=said["name"],
            kind=Kind.ENUM if said["type"] == "state" else Kind(said["type"]),
            rank=len(said.get("shape") or ()),
            max_length=math.prod(said.get("shape") or (1,)),
            text_limit=int(said.get("text_limit") or self._wanted.text_limit),
            default=said.get("default"),
            required=bool(said.get("required", True)),
            is_state=said["type"] == "state",
            facts=Facts(
                unit=said.get("unit") or "",
                description=said.get("doc") or "",
                limits=(limits[0], limits[1]),
                labels=STATES_TUPLE if said["type"] == "state" else tuple(said.get("labels") or ()),
            ),
        )

    def _base(self, name: str, declared: str | None) -> str | None:
        base = self._names.get(name.lower()) or declared
        try:
            if base is None:
                base = names.segment(name)
                if names.loses_characters(name):
                    self.notes.append(f"{name} becomes the PV segment {base}")
        except DiptychError as error:
            self.notes.append(f"{name} is not mirrored: {error}")
        return base


STATES_TUPLE = tuple(STATES)


def _plain_type(tango_type: CmdArgType) -> tuple[ArgumentSpec, ...] | None:
    """No argument, one argument, or None for a type that has no place in EPICS."""
    tango_type = CmdArgType(tango_type)
    if tango_type == CmdArgType.DevVoid:
        return ()
    if tango_type in ARRAY_KINDS:
        return (ArgumentSpec("argument", ARRAY_KINDS[tango_type], 1, COMMAND_ARRAY),)
    if tango_type in KINDS and tango_type not in (CmdArgType.DevEncoded, CmdArgType.DevEnum):
        is_state = tango_type == CmdArgType.DevState
        facts = Facts(labels=STATES_TUPLE if is_state else ())
        return (ArgumentSpec("argument", KINDS[tango_type], 0, is_state=is_state, facts=facts),)
    return None


def facts_of(info: Any, declared: Mapping[str, Any] | None = None) -> Facts:
    """Unit, bounds, labels and the rest of a ``tango.AttributeInfoEx``."""
    said = declared or {}
    is_state = info.data_type == CmdArgType.DevState
    return Facts(
        unit=info.unit if info.unit != "No unit" else "",
        description=info.description if info.description != "No description" else "",
        precision=_precision(info, said),
        limits=(_number(info.min_value), _number(info.max_value)),
        warning=(_number(info.alarms.min_warning), _number(info.alarms.max_warning)),
        alarm=(_number(info.alarms.min_alarm), _number(info.alarms.max_alarm)),
        hysteresis=float(said.get("hysteresis") or 0.0),
        archive_deadband=_deadband(info.events.arch_event.archive_abs_change, said.get("archive")),
        monitor_deadband=_deadband(info.events.ch_event.abs_change, said.get("change")),
        labels=STATES_TUPLE if is_state else tuple(info.enum_labels),
    )


def _when_busy(said: Mapping[str, Any]) -> str:
    """Clients that only ask something, such as two pages that show the same, wait for each other."""
    if said["kind"] == "operation":
        return str(said.get("when_busy", "refuse"))
    return "queue" if said.get("reads_only") else "refuse"


def _deadband(text: str, declared: Mapping[str, Any] | None) -> float:
    """The absolute dead-band: what the Tango configuration says (``-0.5,0.5`` or ``0.5``), or the device itself."""
    return _number(text.split(",")[-1]) or float((declared or {}).get("absolute") or 0.0)


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:  # "Not specified"
        return None
    return number if math.isfinite(number) else None


def _precision(info: Any, said: Mapping[str, Any]) -> int | None:
    if info.data_type not in (CmdArgType.DevDouble, CmdArgType.DevFloat):
        return None
    if info.format == TANGO_DEFAULT_FORMAT and said.get("precision") is not None:
        return int(said["precision"])
    match = re.search(r"%\d*\.(\d+)", info.format)
    return int(match[1]) if match else said.get("precision")
