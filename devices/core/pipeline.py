"""Pipelines: pure functions attached to a device, run in its executor, timed, their outputs published."""

from __future__ import annotations

import asyncio
import dataclasses
import inspect
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Generic, Literal, ParamSpec, TypeVar, overload

from devices.core.attribute import Attribute, Level, attribute
from devices.core.command import CommandSpec, argument_specs, result_type
from devices.core.live import PUT_TIMEOUT, LiveAttribute

if TYPE_CHECKING:
    from devices.core.device import Device
    from devices.core.operations import Operation

P = ParamSpec("P")
R = TypeVar("R")


class Pipeline(Generic[P, R]):
    """A pipeline declared in a class body; on an instance it is the :class:`LivePipeline`.

    Args:
        function: a module-level function; its annotations are its types.
        inputs: argument name -> attribute whose latest value it gets; the other arguments are the client's.
        outputs: attributes to publish, by the names or the order of the result's fields.
        run_as: how clients run it: as a "command", an "operation", or not at all (None; the device calls it).

    The attributes ``<name>_seconds`` (s, the last run) and ``<name>_rate`` (1/s, since the run before) come with it.
    """

    def __init__(
        self,
        function: Callable[P, R],
        *,
        inputs: Mapping[str, Attribute[Any]] | None = None,
        outputs: Sequence[Attribute[Any]] = (),
        run_as: Literal["command", "operation"] | None = None,
        level: Level = "operator",
    ) -> None:
        self.function = function
        self.inputs = dict(inputs or {})
        self.outputs = tuple(outputs)
        self.run_as = run_as
        self.level = level
        self.name = ""
        unknown = set(self.inputs) - set(inspect.signature(function).parameters)
        if unknown:
            raise TypeError(f"{function.__qualname__} has no argument {', '.join(sorted(unknown))}")

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name
        self.seconds = attribute(
            float, unit="s", precision=4, initial=0.0, doc=f"How long the last {name} took; 0 before the first"
        )
        self.rate = attribute(float, unit="1/s", precision=1, initial=0.0, doc=f"How often {name} runs")
        self.seconds.__set_name__(owner, f"{name}_seconds")
        self.rate.__set_name__(owner, f"{name}_rate")

    @overload
    def __get__(self, instance: None, owner: type) -> Pipeline[P, R]: ...
    @overload
    def __get__(self, instance: Device, owner: type) -> LivePipeline[P, R]: ...
    def __get__(self, instance: Device | None, owner: type) -> Pipeline[P, R] | LivePipeline[P, R]:
        return self if instance is None else instance.pipelines[self.name]

    def command_spec(self) -> CommandSpec | None:
        """The command or operation that clients see."""
        if self.run_as is None:
            return None
        result, json_result = result_type(self.function) if not self.outputs else (None, False)
        return CommandSpec(
            name=self.name,
            kind=self.run_as,
            arguments=argument_specs(self.function, skip=0, without=self.inputs),
            result=result,
            json_result=json_result,
            level=self.level,
            timeout=PUT_TIMEOUT,
            doc=inspect.getdoc(self.function) or "",
        )


class LivePipeline(Generic[P, R]):
    """A pipeline of a running device."""

    def __init__(self, declared: Pipeline[P, R], device: Device) -> None:
        self._declared = declared
        self._device = device
        self._ended = 0.0

    async def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Run the function in the device's executor, publish its outputs and its timing, and return its result.

        Raises:
            InvalidReadingError: an input attribute is INVALID.
            Exception: whatever the function raises.
        """
        declared, device = self._declared, self._device
        inputs = {name: device.attributes[given.spec.name].value for name, given in declared.inputs.items()}
        began = time.perf_counter()
        future = device.executor.submit(declared.function, *args, **{**inputs, **kwargs})
        result: R = await asyncio.wrap_future(future)
        ended = time.perf_counter()
        device.attributes[declared.seconds.spec.name].publish(ended - began)
        if self._ended:
            device.attributes[declared.rate.spec.name].publish(1.0 / (ended - self._ended))
        self._ended = ended
        for position, output in enumerate(declared.outputs):
            live: LiveAttribute[Any] = device.attributes[output.spec.name]
            live.publish(_field(result, output.spec.name, position, len(declared.outputs)))
        return result

    async def as_operation(self, run: Operation, **arguments: Any) -> Any:
        """What clients start when the pipeline is declared as an operation."""
        run.report(0.0, self._declared.name)
        result = await self(**arguments)  # type: ignore[call-arg]  # checked against the function's annotations
        return None if self._declared.outputs else result

    async def as_command(self, **arguments: Any) -> Any:
        """What clients call when the pipeline is declared as a command."""
        result = await self(**arguments)  # type: ignore[call-arg]  # checked against the function's annotations
        return None if self._declared.outputs else result


def _field(result: Any, name: str, position: int, outputs: int) -> Any:
    if isinstance(result, Mapping):
        return result[name]
    # Only a result's own fields: ``flat`` and ``mean`` are members of every numpy array, ``count`` of every tuple.
    fields = {field.name for field in dataclasses.fields(result)} if dataclasses.is_dataclass(result) else ()
    if name in (fields or getattr(result, "_fields", ())):
        return getattr(result, name)
    if outputs == 1 and not isinstance(result, tuple):
        return result
    return result[position]


def pipeline(
    function: Callable[P, R],
    *,
    inputs: Mapping[str, Attribute[Any]] | None = None,
    outputs: Sequence[Attribute[Any]] = (),
    run_as: Literal["command", "operation"] | None = None,
    level: Level = "operator",
) -> Pipeline[P, R]:
    """Declare a pipeline; :class:`Pipeline` says what the words mean."""
    return Pipeline(function, inputs=inputs, outputs=outputs, run_as=run_as, level=level)
