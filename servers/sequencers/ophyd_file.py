"""A file of classic ophyd devices, over Channel Access."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from devices.core.attribute import AttributeSpec
from devices.core.datatype import Kind
from servers.epics import names
from servers.sequencers.subject import Move, Subject, Wanted, member, note

HEAD = '''from ophyd import Component, Device, EpicsSignal, EpicsSignalRO, EpicsSignalWithRBV, Kind
from ophyd.pv_positioner import PVPositionerIsClose

# Puts wait for the end of an operation, and that may be hours.
EpicsSignal.set_defaults(write_timeout=None)


class SetPoint(PVPositionerIsClose):
    """A set point with the reading that follows it; ``stop`` during a move has it hold at the present reading."""

    def _setup_move(self, position):
        super()._setup_move(position)
        self._update_setpoint(value=position)  # no monitor tells of a set point that was this before

    def stop(self, *, success=False):
        if self.moving:
            self._done_moving(success=success)  # first: where it holds it seems to have arrived
            self.setpoint.put(self.readback.get())
        super().stop(success=success)'''
STATUS = "from ophyd.status import DeviceStatus, SubscriptionStatus"


def generate(subjects: Sequence[Subject], wanted: Wanted, command: str) -> str:
    """The text of a Python module with a class and a maker for each device."""
    head = HEAD.replace("\n\n", f"\n{STATUS}\n\n", 1) if wanted.trigger else HEAD
    blocks = [f'"""Devices for ophyd, over Channel Access. Made by\n\n    {command}\n"""\n\n{head}']
    for subject in subjects:
        blocks += ["\n".join(block) for block in _device(subject, subject.narrowed(wanted))]
    return "\n\n\n".join(blocks) + "\n"


def _device(subject: Subject, wanted: Wanted) -> Iterator[list[str]]:
    known = {spec.name: spec for spec in subject.attributes()}
    for move in wanted.moves:
        yield _positioner(subject, move, known)
    doc = subject.interface.doc.splitlines()[0].replace(chr(34), chr(39))
    lines = [f"class {subject.class_name}(Device):", f'    """{subject.device}: {doc}"""', ""]
    lines.append(
        f"    def __init__(self, prefix={subject.interface.pv_prefix!r}, *, name={subject.name!r}, **options):"
    )
    lines += ["        super().__init__(prefix, name=name, **options)", ""]
    lines.append('    state = Component(EpicsSignalRO, "State", string=True, kind=Kind.config)')
    lines += [f"    {_component(spec, wanted)}" for spec in known.values() if spec.mirror]
    for spec in subject.commands():
        if spec.mirror:
            segment = spec.pv_name or names.segment(spec.name)
            text = ", string=True" if len(spec.arguments) > 1 or _takes_text(spec.arguments) else ""
            lines.append(
                f'    {member(spec.name)} = Component(EpicsSignal, "{segment}", put_complete=True{text}, '
                "kind=Kind.omitted)"
            )
            lines.append(
                f'    {spec.name}_error = Component(EpicsSignalRO, "{segment}:Error", string=True, kind=Kind.omitted)'
            )
    for move in wanted.moves:
        lines.append(
            f'    {member(move.name)} = Component({_class(subject, move)}, "", atol={move.tolerance}, '
            f"settle_time={move.settle}, kind=Kind.hinted)"
        )
    lines += [f"    {line}".rstrip() for line in _trigger(subject, wanted)]
    yield lines


def _takes_text(arguments: Sequence[object]) -> bool:
    kinds = [getattr(argument, "datatype").kind for argument in arguments]  # noqa: B009
    return kinds == [Kind.STRING]


def _class(subject: Subject, move: Move) -> str:
    return subject.class_name + "".join(word.capitalize() for word in move.name.split("_"))


def _positioner(subject: Subject, move: Move, known: dict[str, AttributeSpec]) -> list[str]:
    setpoint, readback = (known[name].pv_name or names.segment(name) for name in (move.setpoint, move.readback))
    unit = known[move.readback].unit or "its unit"
    return [
        f"class {_class(subject, move)}(SetPoint):",
        f'    """Done when {readback} is within {move.tolerance:g} {unit}, and {move.settle:g} s later."""',
        "",
        f'    setpoint = Component(EpicsSignalWithRBV, "{setpoint}", kind=Kind.normal)',
        f'    readback = Component(EpicsSignalRO, "{readback}", kind=Kind.hinted)',
    ]


def _component(spec: AttributeSpec, wanted: Wanted) -> str:
    segment = spec.pv_name or names.segment(spec.name)
    kind = "hinted" if spec.name in wanted.read and not spec.datatype.shape else "normal"
    kind = kind if spec.name in wanted.read else "config" if spec.name in wanted.config else "omitted"
    text = ", string=True" if spec.datatype.kind in (Kind.STRING, Kind.ENUM, Kind.STATE) else ""
    text = "" if spec.datatype.shape else text
    if spec.access == "read_write":
        limits = ", limits=True" if spec.limits and not spec.datatype.shape else ""
        return (
            f'{member(spec.name)} = Component(EpicsSignalWithRBV, "{segment}", put_complete=True{limits}{text}, '
            f"kind=Kind.{kind}){note(spec)}"
        )
    form = "EpicsSignalRO" if spec.access == "read" else "EpicsSignal"
    return f'{member(spec.name)} = Component({form}, "{segment}"{text}, kind=Kind.{kind}){note(spec)}'


def _trigger(subject: Subject, wanted: Wanted) -> Iterator[str]:
    if not wanted.trigger:
        return
    yield ""
    name = member(wanted.trigger)
    operations = {spec.name: spec for spec in subject.commands()}
    if wanted.trigger in operations:
        arguments = repr("{}") if len(operations[wanted.trigger].arguments) > 1 else "1"
        yield from (
            'abort = Component(EpicsSignal, "Abort", string=True, kind=Kind.omitted)',
            f"{name}_arguments = {arguments}  # what a trigger puts",
            "",
            "def trigger(self):",
            f'    """Run {wanted.trigger} to its end."""',
            "    done = DeviceStatus(self)",
            "",
            "    def ended(_):",
            f"        reason = self.{wanted.trigger}_error.get(use_monitor=False)  # Channel Access tells no more",
            "        done.set_exception(RuntimeError(reason)) if reason else done.set_finished()",
            "",
            f"    self.{name}.set(self.{name}_arguments).add_callback(ended)",
            "    return done",
            "",
            "def unstage(self):",
            f'    """A {wanted.trigger} that still runs is aborted."""',
            "    if self.operation.get(use_monitor=False):",
            '        self.abort.put("1")',
            "    return super().unstage()",
        )
    else:
        yield from (
            "def trigger(self):",
            f'    """Wait until {wanted.trigger} changes."""',
            "    before = self.%s.get(use_monitor=False)" % name,  # noqa: UP031
            f"    return SubscriptionStatus(self.{name}, lambda value, **_: value != before)",
        )
