"""A file of ophyd-async devices over Channel Access, PVAccess or Tango."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, Literal

from devices.core.attribute import AttributeSpec
from devices.core.command import CommandSpec
from devices.core.datatype import INTEGERS, NUMBERS, DataType, Kind
from servers.epics import names
from servers.sequencers.subject import Subject, Wanted, member, note

Via = Literal["ca", "pva", "tango"]
PARTS: Final = Path(__file__).with_name("parts")
CUT: Final = "# what follows stands in generated files\n"
CORE: Final = (
    "AsyncStatus",
    "Array1D",
    "Ignore",
    "Command",
    "Device",
    "SignalR",
    "SignalRW",
    "SignalW",
    "StandardReadable",
)
#: What a Channel Access waveform of a type holds; PVAccess and Tango keep the type.
CA_ARRAYS: Final = {
    Kind.BOOL: "uint8",
    Kind.UINT16: "int32",
    Kind.UINT32: "float64",
    Kind.INT64: "float64",
    Kind.UINT64: "float64",
}


EPICS: Final = ("EpicsDevice", "PvSuffix", "epics_signal_r", "epics_signal_rw_rbv")
TANGO: Final = ("TangoDevice", "DevStateEnum", "tango_signal_r", "tango_signal_rw", "tango_triggerable_command")


def generate(subjects: Sequence[Subject], wanted: Wanted, via: Via, command: str) -> str:
    """The text of a Python module with a class for each device.

    Args:
        via: the protocol; the module needs nothing of this project, whichever it is.
        command: how it was made, for the first line.
    """
    mine = {subject.device: subject.narrowed(wanted) for subject in subjects}
    bodies = [line for subject in subjects for line in _device(subject, mine[subject.device], via)]
    text = "\n".join(bodies)
    parts = ["set_point"] if "SetPoint(" in text else []
    parts += [f"{'tango' if via == 'tango' else 'epics'}_operation"] if "Operation(" in text else []
    parts += ["file_reading"] if "NamesFiles" in text else []
    parts += ["awaited_readings"] if "AwaitsReadings" in text else []
    sources = [(PARTS / f"{part}.py").read_text() for part in parts]
    doc = f'"""Devices for ophyd-async, {_PROTOCOLS[via]}. Made by\n\n    {command}\n"""'
    head = [doc, "", *_imports(sources, text, via)]
    pasted = [source.partition(CUT)[2].strip() for source in sources]
    return "\n\n\n".join(["\n".join(head).rstrip(), *pasted, text.strip()]) + "\n"


_PROTOCOLS: Final = {"ca": "over Channel Access", "pva": "over PVAccess", "tango": "over Tango"}


def _imports(sources: Sequence[str], text: str, via: Via) -> Iterator[str]:
    """The imports of all parts and of the classes, each once."""
    lines = {line for source in sources for line in source.partition(CUT)[0].splitlines() if "import " in line}
    whole = "\n".join(sources) + text
    lines |= {"import numpy as np"} if "np." in text else set()
    lines |= {"from typing import Annotated as A", "from ophyd_async.core import StandardReadableFormat as Format"}
    lines |= {"from collections.abc import Sequence"} if "Sequence[" in text else set()
    core = {name for name in (*CORE, "StrictEnum", "TriggerableCommand") if name in whole}
    package = "tango" if via == "tango" else "epics"
    transport = {name for name in (TANGO if via == "tango" else EPICS) if name in text}
    kept = set()
    for line in lines:
        module, _, imported = line.removeprefix("from ").partition(" import ")
        if module == "ophyd_async.core" and " as " not in imported:
            core |= set(imported.split(", "))
        elif module == f"ophyd_async.{package}.core":
            transport |= set(imported.split(", "))
        else:
            kept.add(line)
    merged: dict[str, set[str]] = {"ophyd_async.core": core, f"ophyd_async.{package}.core": transport}
    for line in [line for line in kept if line.startswith("from ")]:
        module, _, imported = line.removeprefix("from ").partition(" import ")
        if " as " not in imported:
            merged.setdefault(module, set()).update(imported.split(", "))
            kept.remove(line)
    yield from sorted(line for line in kept if line.startswith("import "))
    for module in sorted(merged):
        words = ", ".join(sorted(merged[module]))
        yield f"from {module} import {words}" if len(words) < 70 else f"from {module} import (\n{_wrapped(words)}\n)"
    yield from sorted(line for line in kept if not line.startswith("import "))


def _wrapped(words: str) -> str:
    return textwrap.fill(words, 100, initial_indent="    ", subsequent_indent="    ")


def _device(subject: Subject, wanted: Wanted, via: Via) -> Iterator[str]:
    enums: dict[tuple[str, ...], str] = {}
    fields = list(_fields(subject, wanted, via, enums))
    for labels, name in enums.items():
        yield f"class {name}(StrictEnum):"
        yield from (f"    {key} = {label!r}" for key, label in _members(labels))
        yield from ("", "")
    readings = ["NamesFiles"] * bool(wanted.file) + ["AwaitsReadings"] * _awaits(subject, wanted)
    bases = [*(readings or ["StandardReadable"]), "TangoDevice" if via == "tango" else "EpicsDevice"]
    yield f"class {subject.class_name}({', '.join(bases)}):"
    yield f'    """{subject.device}: {subject.interface.doc.splitlines()[0].replace(chr(34), chr(39))}"""'
    yield ""
    yield from (f"    {field}" for field in fields)
    yield ""
    yield from (f"    {line}".rstrip() for line in _methods(subject, wanted, via))
    yield from ("", "")


def _fields(subject: Subject, wanted: Wanted, via: Via, enums: dict[tuple[str, ...], str]) -> Iterator[str]:
    if via == "tango":  # ophyd-async takes none of them as they are
        yield from (f"{spec.name}: Ignore" for spec in subject.commands())
    else:
        yield 'state: A[SignalR[str], PvSuffix("State"), Format.CONFIG_SIGNAL]'
    for spec in subject.attributes():
        if not (_fits_tango(spec) and spec.name in wanted.names() if via == "tango" else spec.mirror):
            continue
        kind = {"read": "SignalR", "write": "SignalW"}.get(spec.access, "SignalRW")
        chosen = [f"{kind}[{_datatype(subject, spec, via, enums)}]"]
        if via != "tango":
            both = ".rbv" if spec.access == "read_write" else ""
            chosen.append(f'PvSuffix{both}("{spec.pv_name or names.segment(spec.name)}")')
        if spec.name in wanted.read:
            hinted = spec.datatype.kind in NUMBERS and not spec.datatype.shape
            chosen.append("Format.HINTED_UNCACHED_SIGNAL" if hinted else "Format.UNCACHED_SIGNAL")
        elif spec.name in wanted.config:
            chosen.append("Format.CONFIG_SIGNAL")
        yield (
            f"{member(spec.name)}: A[{', '.join(chosen)}]{note(spec)}"
            if len(chosen) > 1
            else (f"{member(spec.name)}: {chosen[0]}{note(spec)}")
        )
    if via != "tango":
        for command in subject.commands():
            if command.kind == "command" and command.mirror:
                yield from _command(command, via)


def _fits_tango(spec: AttributeSpec) -> bool:
    """Whether ophyd-async takes the attribute: it makes names of the labels, and wants them in capitals."""
    return spec.datatype.kind is not Kind.ENUM or all(label.isupper() for label in spec.datatype.labels)


def _command(spec: CommandSpec, via: Via) -> Iterator[str]:
    takes = argument_type(spec, via)
    if takes and takes.startswith("Sequence["):
        return  # neither protocol's commands of lists are known to ophyd-async
    segment = spec.pv_name or names.segment(spec.name)
    yield f'{member(spec.name)}: A[{f"SignalW[{takes}]" if takes else "TriggerableCommand"}, PvSuffix("{segment}")]'


def _methods(subject: Subject, wanted: Wanted, via: Via) -> Iterator[str]:
    prefix = subject.interface.pv_prefix
    place, where = ("trl", subject.trl) if via == "tango" else ("prefix", f"{via}://{prefix}")
    yield f'def __init__(self, {place}: str = "{where}", name: str = "{subject.name}") -> None:'
    for spec in subject.commands():
        if spec.kind == "command" and via == "tango":
            yield from _tango_command(spec)
        elif spec.kind == "operation" and (spec.mirror or via == "tango"):
            takes = argument_type(spec, via)
            segment = names.segment(spec.name) if via != "tango" else spec.name
            own = f"trl, {segment!r}" if via == "tango" else f"prefix, {spec.pv_name or segment!r}"
            yield f"    self.{member(spec.name)} = Operation({own}, {takes})"
    if via == "tango":  # called State there
        yield "    with self.add_children_as_readables(Format.CONFIG_SIGNAL):"
        yield '        self.state = tango_signal_r(DevStateEnum, f"{trl}/State")'
    known = {spec.name: spec for spec in subject.attributes()}
    for move in wanted.moves:
        signals = [_signal(known[each], via) for each in (move.setpoint, move.readback)]
        yield f"    self.{member(move.name)} = SetPoint({', '.join(signals)}, {move.tolerance}, {move.settle})"
    options = "support_events=True, auto_fill_signals=False, " if via == "tango" else ""
    yield f"    super().__init__({'trl' if via == 'tango' else 'prefix'}, {options}name=name)"
    if wanted.moves:
        yield f"    self.add_readables([{', '.join(f'self.{member(move.name)}' for move in wanted.moves)}])"
    if wanted.file:
        yield f"    self._file, self._documents = self.{member(wanted.file)}, []"
    if _awaits(subject, wanted):
        awaited = ", ".join(f"self.{member(name)}" for name in (wanted.trigger, *wanted.together))
        yield f"    self._awaited, self._taken = ({awaited},), {{}}"
    elif wanted.trigger:
        yield from _trigger(member(wanted.trigger), wanted.trigger)


def _awaits(subject: Subject, wanted: Wanted) -> bool:
    """Whether a trigger waits for readings; otherwise it runs an operation, or there is none."""
    return wanted.trigger in {spec.name for spec in subject.attributes()}


def _tango_command(spec: CommandSpec) -> Iterator[str]:
    if not spec.arguments and _result_type(spec, "tango") == "None":
        yield f'    self.{member(spec.name)} = tango_triggerable_command(f"{{trl}}/{spec.name}")'


def _trigger(name: str, operation: str) -> Iterator[str]:
    yield from (
        "",
        "def trigger(self) -> AsyncStatus:",
        f'    """Run {operation} to its end; `{name}_arguments` are its arguments."""',
        f"    return self.{name}.set(self.{name}_arguments)",
        "",
        f"{name}_arguments: dict[str, object] | None = None",
        "",
        "@AsyncStatus.wrap",
        "async def unstage(self) -> None:",
        f'    """A {operation} that still runs is aborted."""',
        f"    await self.{name}.stop()",
        "    await super().unstage()",
    )


def _signal(spec: AttributeSpec, via: Via) -> str:
    form = "_rw" if spec.access == "read_write" else "_r"
    if via == "tango":
        return f'tango_signal{form}(float, f"{{trl}}/{spec.name}")'
    segment = spec.pv_name or names.segment(spec.name)
    return f'epics_signal{"_rw_rbv" if form == "_rw" else "_r"}(float, f"{{prefix}}{segment}")'


def argument_type(spec: CommandSpec, via: Via) -> str | None:
    """What is given to a command: nothing, its one argument, or several as a JSON text."""
    if not spec.arguments:
        return None
    if len(spec.arguments) > 1:
        return "str"
    datatype = spec.arguments[0].datatype
    if datatype.kind is Kind.ENUM and not datatype.shape:
        return "str"
    return _plain(datatype, via)


def _result_type(spec: CommandSpec, via: Via) -> str:
    if spec.json_result:
        return "str"
    if spec.result is None:
        return "None"
    return "str" if spec.result.kind is Kind.ENUM else _plain(spec.result, via)


def _datatype(subject: Subject, spec: AttributeSpec, via: Via, enums: dict[tuple[str, ...], str]) -> str:
    datatype = spec.datatype
    if datatype.kind is Kind.STATE:
        return "DevStateEnum" if via == "tango" else "str"
    if datatype.kind is Kind.ENUM:
        if via == "ca" and not names.fits_ca_enum(datatype.labels):
            return "int"
        camel = "".join(word.capitalize() for word in spec.name.split("_"))
        return enums.setdefault(datatype.labels, f"{subject.class_name}{camel}")
    return _plain(datatype, via)


def _plain(datatype: DataType, via: Via) -> str:
    kind = datatype.kind
    if datatype.shape:
        if kind is Kind.STRING:
            return "Sequence[str]"
        element = CA_ARRAYS.get(kind, str(kind)) if via == "ca" else str(kind)
        return f"Array1D[np.{'bool_' if element == 'bool' else element}]"
    if kind is Kind.BOOL:
        return "bool"
    return "str" if kind is Kind.STRING else "int" if kind in INTEGERS else "float"


def _members(labels: Sequence[str]) -> Iterator[tuple[str, str]]:
    taken: set[str] = set()
    for label in labels:
        key = re.sub(r"\W", "_", label.upper(), flags=re.ASCII).strip("_") or "NONE"
        key = f"V{key}" if key[0].isdigit() else key  # ophyd-async wants capitals
        while key in taken:
            key += "_"
        taken.add(key)
        yield key, label
