"""Commands: short requests to a device, and the declaration of operations, the long ones."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

from devices.core.alarm import Range
from devices.core.attribute import Level
from devices.core.datatype import DEFAULT_TEXT_LIMIT, DataType, DeviceState
from devices.core.errors import BadValueError, NotAllowedError
from devices.core.json_value import json_value
from devices.core.live import PUT_TIMEOUT, check_limits, ended_in_time

if TYPE_CHECKING:
    from devices.core.device import Device
    from devices.core.operations import Operation

F = TypeVar("F", bound=Callable[..., Awaitable[Any]])
Kind = Literal["command", "operation"]
WhenBusy = Literal["refuse", "queue", "parallel"]


@dataclass(frozen=True)
class Argument:
    """More about an argument than its type says: ``seconds: Annotated[float, Argument(unit="s", limits=(0, 60))]``."""

    unit: str = ""
    limits: Range | None = None
    doc: str = ""
    shape: tuple[int, ...] = ()
    text_limit: int = DEFAULT_TEXT_LIMIT


@dataclass(frozen=True)
class ArgumentSpec:
    """One named argument of a command; ``default`` counts when ``required`` is False."""

    name: str
    datatype: DataType
    unit: str = ""
    limits: Range | None = None
    doc: str = ""
    required: bool = True
    default: Any = None


@dataclass(frozen=True)
class CommandSpec:
    """What a command or an operation is, as servers and clients see it.

    Attributes:
        result: the type of the result; None for none, or when ``json_result``.
        json_result: the result is a JSON object.
        allowed: the states in which it runs; None for any.
        dangerous: panels ask before they run it.
        reads_only: it changes nothing, so the audit leaves it out.
        stops: it makes the instrument safe, so everybody may run it, also while one client has reserved the device.
        timeout: the framework ends a command after this time, s.
        when_busy: what a second operation does while one runs.
        group: the heading under which panels show it.
    """

    name: str
    kind: Kind = "command"
    arguments: tuple[ArgumentSpec, ...] = ()
    result: DataType | None = None
    json_result: bool = False
    allowed: frozenset[DeviceState] | None = None
    level: Level = "operator"
    dangerous: bool = False
    reads_only: bool = False
    stops: bool = False
    timeout: float = PUT_TIMEOUT
    when_busy: WhenBusy = "refuse"
    mirror: bool = True
    pv_name: str | None = None
    doc: str = ""
    group: str = ""

    def for_part(self, key: str, group: str = "") -> CommandSpec:
        """The specification of the same command in the part ``key``."""
        return replace(
            self,
            name=f"{self.name}_{key}",
            doc=self.doc.replace("{key}", key.upper()),
            group=(self.group or group).replace("{key}", key.upper()),
            pv_name=self.pv_name and self.pv_name.replace("{key}", key.upper()),
        )


def argument_specs(
    function: Callable[..., Any], skip: int = 1, without: Iterable[str] = ()
) -> tuple[ArgumentSpec, ...]:
    """The arguments of a function by its annotations, leaving out the first ``skip`` and those named in ``without``.

    Raises:
        TypeError: an argument has no annotation, or one that the model does not know.
        BadValueError, RangeError: its default is not of its type.
    """
    hints = typing.get_type_hints(function, include_extras=True)
    specs = []
    for parameter in list(inspect.signature(function).parameters.values())[skip:]:
        if parameter.name in without:
            continue
        if parameter.name not in hints:
            raise TypeError(f"{function.__qualname__}: the argument {parameter.name} has no annotation")
        hint = hints[parameter.name]
        about = Argument()
        if typing.get_origin(hint) is Annotated:
            about = next((extra for extra in hint.__metadata__ if isinstance(extra, Argument)), about)
        datatype = DataType.of(hint, about.shape, about.text_limit)
        required = parameter.default is inspect.Parameter.empty
        specs.append(
            ArgumentSpec(
                name=parameter.name,
                datatype=datatype,
                unit=about.unit,
                limits=about.limits,
                doc=about.doc,
                required=required,
                default=None if required else datatype.convert(parameter.default, parameter.name),
            )
        )
    return tuple(specs)


def result_type(function: Callable[..., Any]) -> tuple[DataType | None, bool]:
    """The data type of what a function returns, and whether it is a JSON object instead."""
    hint = typing.get_type_hints(function, include_extras=True).get("return", type(None))
    if hint is type(None):
        return None, False
    if hint is dict or typing.get_origin(hint) in (dict, Mapping):
        return None, True
    return DataType.of(hint), False


def _declare(function: F, kind: Kind, skip: int, options: dict[str, Any]) -> F:
    result, json_result = result_type(function)
    allowed = options.pop("allowed")
    spec = CommandSpec(
        name=function.__name__,
        kind=kind,
        arguments=argument_specs(function, skip),
        result=result,
        json_result=json_result,
        allowed=None if allowed is None else frozenset(allowed),
        doc=inspect.getdoc(function) or "",
        **options,
    )
    function.__command__ = spec  # type: ignore[attr-defined]
    return function


def command(
    *,
    allowed: Iterable[DeviceState] | None = None,
    level: Level = "operator",
    dangerous: bool = False,
    reads_only: bool = False,
    stops: bool = False,
    timeout: float = PUT_TIMEOUT,
    mirror: bool = True,
    pv_name: str | None = None,
    group: str = "",
) -> Callable[[F], F]:
    """Declare an ``async`` method as a command; its annotations are its types.

    Raises:
        ValueError: ``timeout`` is longer than a Tango client waits; that is an operation.
    """
    if timeout > PUT_TIMEOUT:
        raise ValueError(f"timeout = {timeout} s: a command ends within {PUT_TIMEOUT} s; declare an operation")

    options: dict[str, Any] = dict(
        allowed=allowed,
        level=level,
        dangerous=dangerous,
        reads_only=reads_only,
        stops=stops,
        timeout=timeout,
        mirror=mirror,
        pv_name=pv_name,
        group=group,
    )
    return lambda function: _declare(function, "command", 1, dict(options))


def operation(
    *,
    allowed: Iterable[DeviceState] | None = None,
    level: Level = "operator",
    dangerous: bool = False,
    when_busy: WhenBusy = "refuse",
    pv_name: str | None = None,
    group: str = "",
) -> Callable[[F], F]:
    """Declare an ``async`` method as an operation: ``async def expose(self, run: Operation, seconds: float)``."""
    options: dict[str, Any] = dict(
        allowed=allowed, level=level, dangerous=dangerous, when_busy=when_busy, pv_name=pv_name, group=group
    )
    return lambda function: _declare(function, "operation", 2, dict(options))


class LiveCommand:
    """A command or operation of a running device."""

    def __init__(self, spec: CommandSpec, device: Device, function: Callable[..., Awaitable[Any]]) -> None:
        self.spec = spec
        self.device = device
        self._function = function

    def check(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """The arguments converted and complete.

        Raises:
            BadValueError: unknown or missing ones, or of a wrong type; RangeError: outside the limits.
            NotAllowedError: not in this state.
        """
        spec = self.spec
        known = {argument.name for argument in spec.arguments}
        unknown = sorted(set(arguments) - known)
        missing = sorted(a.name for a in spec.arguments if a.required and a.name not in arguments)
        if unknown or missing:
            problems = [f"unknown argument {name}" for name in unknown] + [f"{name} is missing" for name in missing]
            raise BadValueError(f"{spec.name}({', '.join(a.name for a in spec.arguments)}): {', '.join(problems)}")
        converted = {}
        for argument in spec.arguments:
            if argument.name not in arguments:
                converted[argument.name] = argument.default
                continue
            value = argument.datatype.convert(arguments[argument.name], argument.name)
            check_limits(argument.name, value, argument.limits, argument.unit)
            converted[argument.name] = value
        state = self.device.state
        if spec.allowed is not None and state not in spec.allowed:
            allowed = ", ".join(sorted(s.name for s in spec.allowed))
            raise NotAllowedError(f"{spec.name} is not allowed in state {state.name}, only in {allowed}")
        return converted

    async def run(self, arguments: Mapping[str, Any] | None = None) -> Any:
        """Run the command and return its result; start an operation and return its id.

        Raises:
            TimeoutError: a command did not end in time.
            DiptychError: see :meth:`check`, and whatever the device raises.
        """
        spec, converted = self.spec, self.check(arguments or {})

        def typed(result: Any) -> Any:
            if spec.json_result:
                return json_value(result, f"the result of {spec.name}")
            return result if spec.result is None else spec.result.convert(result, f"the result of {spec.name}")

        async def work(run: Operation) -> Any:
            result = typed(await self._function(run, **converted))
            return result if spec.result is None else spec.result.to_json(result)

        if spec.kind == "operation":
            return self.device.operations.start(spec.name, work, spec.when_busy)
        return typed(await ended_in_time(self._function(**converted), spec.timeout, spec.name))
