"""Commands: their arguments, results, states and time."""

from __future__ import annotations

import asyncio
import enum
import time
from typing import Annotated, Any, Literal

import numpy as np
import pytest

from devices.core import Argument, Device, DeviceState, Encoded, Kind, Operation, command, operation
from devices.core.command import CommandSpec, argument_specs
from devices.core.errors import (
    AbortedError,
    BadValueError,
    NotAllowedError,
    RangeError,
    RefusedError,
    TimeoutError,
    UnknownNameError,
)


class Axis(enum.Enum):
    THETA = "theta"
    PHI = "phi"


class Stage(Device):
    """A stage with two axes."""

    @command()
    async def move(
        self,
        axis: Axis,
        degrees: Annotated[float, Argument(unit="deg", limits=(-90.0, 180.0), doc="Where to")],
        speed: Literal["slow", "fast"] = "slow",
        steps: int = 10,
    ) -> str:
        """Move an axis."""
        assert isinstance(axis, Axis) and type(degrees) is float and type(steps) is int
        return f"{axis.value} {degrees} {speed} {steps}"

    @command()
    async def profile(
        self,
        points: Annotated[list[float], Argument(unit="mm", limits=(0.0, None), shape=(5,))] = [1, 2, 3],  # noqa: B006
    ) -> list[float]:
        """Twice the points."""
        assert isinstance(points, np.ndarray)
        return points * 2  # type: ignore[return-value]

    @command()
    async def title(self, text: Annotated[str, Argument(text_limit=5)] = "") -> str:
        """A short text."""
        return text

    @command()
    async def count(self) -> int:
        """As numpy gives it."""
        return np.uint16(7)  # type: ignore[return-value]

    @command()
    async def wrong(self) -> float:
        """A driver's mistake."""
        return "seven"  # type: ignore[return-value]

    @command()
    async def facts(self) -> dict[str, Any]:
        """Several values."""
        return {"axis": "theta", "turns": 3}

    @command()
    async def picture(self) -> Encoded:
        """A compressed image."""
        return Encoded("image/jpeg", b"\xff\xd8")

    @command(timeout=0.1)
    async def wait(self, seconds: float) -> None:
        """Longer than allowed."""
        await asyncio.sleep(seconds)

    @command(timeout=0.1)
    async def stubborn(self) -> None:
        """Does not listen."""
        for _ in range(20):
            try:
                await asyncio.sleep(0.05)
            except asyncio.CancelledError:
                continue

    @command(allowed=[DeviceState.ON, DeviceState.STANDBY])
    async def home(self, quick: bool = False) -> bool:
        """Only when it is on."""
        return quick

    @command()
    async def fail(self, how: str) -> None:
        """Raise."""
        raise {"refused": RefusedError("NAK"), "bug": ZeroDivisionError("x"), "cancel": asyncio.CancelledError()}[how]


def run(name: str, **arguments: Any) -> Any:
    stage = Stage("test/stage/1")
    stage.set_state(DeviceState.ON)
    return asyncio.run(stage.run(name, arguments))


# Arguments --------------------------------------------------------------------------------------------------------


def test_arguments_arrive_as_their_types_and_defaults_fill_the_gaps() -> None:
    assert run("move", axis="PHI", degrees=45) == "phi 45.0 slow 10"
    assert run("move", axis=0, degrees=-90, speed="fast", steps=3.0) == "theta -90.0 fast 3"
    assert run("profile", points=[0, 0.5]).tolist() == [0.0, 1.0]
    assert run("profile").tolist() == [2.0, 4.0, 6.0], "a default is of the argument's type, too"


def test_every_unknown_and_missing_argument_is_named_at_once() -> None:
    with pytest.raises(
        BadValueError,
        match=r"^move\(axis, degrees, speed, steps\): unknown argument angle, unknown argument zoom, "
        r"axis is missing, degrees is missing$",
    ):
        run("move", zoom=1, angle=3)
    with pytest.raises(BadValueError, match=r"count\(\): unknown argument x"):
        run("count", x=1)


@pytest.mark.parametrize(
    "arguments, error, text",
    [
        ({"axis": "psi", "degrees": 1.0}, RangeError, "axis = 'psi' is none of theta, phi"),
        ({"axis": 0, "degrees": 180.1}, RangeError, r"degrees = 180.1 deg is outside \[-90.0, 180.0\] deg"),
        ({"axis": 0, "degrees": float("nan")}, RangeError, r"degrees = nan deg is outside"),
        ({"axis": 0, "degrees": "far"}, BadValueError, "degrees = 'far' is not a float64"),
        ({"axis": 0, "degrees": None}, BadValueError, "degrees = None"),
        ({"axis": 0, "degrees": 1.0, "speed": "warp"}, RangeError, "speed = 'warp' is none of slow, fast"),
        ({"axis": 0, "degrees": 1.0, "steps": 2.5}, BadValueError, "steps = 2.5 is not a whole number"),
        ({"axis": 0, "degrees": 1.0, "steps": 2**63}, RangeError, "steps = 9223372036854775808 is outside"),
    ],
)
def test_a_wrong_argument_is_refused_with_its_name_value_unit_and_bound(
    arguments: dict[str, Any], error: type[Exception], text: str
) -> None:
    with pytest.raises(error, match=text):
        run("move", **arguments)


def test_arrays_and_texts_have_their_lengths_and_limits() -> None:
    with pytest.raises(RangeError, match=r"points has the shape \(6,\), at most \(5,\)"):
        run("profile", points=[1.0] * 6)
    with pytest.raises(RangeError, match=r"points = -1.0 mm is outside \[0.0, inf\] mm"):
        run("profile", points=[2.0, -1.0])
    with pytest.raises(RangeError, match="text has 6 characters, at most 5"):
        run("title", text="abcdef")


def test_a_nan_is_no_argument_even_without_limits() -> None:
    with pytest.raises(RangeError, match="seconds = nan is not a number"):
        run("wait", seconds=float("nan"))


# Results and errors -----------------------------------------------------------------------------------------------


def test_a_result_is_of_its_declared_type() -> None:
    assert run("count") == 7 and type(run("count")) is int
    assert run("facts") == {"axis": "theta", "turns": 3}
    assert run("picture") == Encoded("image/jpeg", b"\xff\xd8")
    with pytest.raises(BadValueError, match="the result of wrong = 'seven' is not a float64"):
        run("wrong")


@pytest.mark.parametrize(
    "how, error, text",
    [("refused", RefusedError, "NAK"), ("bug", ZeroDivisionError, "x"), ("cancel", AbortedError, "fail was cancelled")],
)
def test_an_error_keeps_its_class(how: str, error: type[BaseException], text: str) -> None:
    with pytest.raises(error, match=text):
        run("fail", how=how)


@pytest.mark.parametrize("name, arguments", [("wait", {"seconds": 5.0}), ("stubborn", {})])
def test_the_framework_ends_a_command_in_time_even_one_that_does_not_listen(
    name: str, arguments: dict[str, Any]
) -> None:
    async def scenario() -> None:
        stage = Stage("test/stage/1")
        began = time.monotonic()
        with pytest.raises(TimeoutError, match=f"{name} did not end within 0.1 s"):
            await stage.run(name, arguments)
        assert 0.09 < time.monotonic() - began < 0.5

    asyncio.run(scenario())


def test_a_client_that_goes_away_ends_its_command() -> None:
    async def scenario() -> None:
        stage = Stage("test/stage/1")
        client = asyncio.create_task(stage.run("wait", {"seconds": 0.05}))
        await asyncio.sleep(0.01)
        client.cancel()
        with pytest.raises(asyncio.CancelledError):
            await client
        await asyncio.sleep(0)
        assert len(asyncio.all_tasks()) == 1

    asyncio.run(scenario())


def test_a_command_is_refused_in_another_state_and_an_unknown_one_always() -> None:
    stage = Stage("test/stage/1")
    assert asyncio.run(stage.run("count")) == 7
    with pytest.raises(NotAllowedError, match="home is not allowed in state INIT, only in ON, STANDBY"):
        asyncio.run(stage.run("home"))
    stage.set_state(DeviceState.STANDBY)
    assert asyncio.run(stage.run("home", {"quick": 1})) is True
    with pytest.raises(UnknownNameError, match="test/stage/1 has no command explode"):
        asyncio.run(stage.run("explode"))
    with pytest.raises(UnknownNameError, match="test/stage/1 has no attribute warp"):
        asyncio.run(stage.put("warp", 9))


# Declarations -----------------------------------------------------------------------------------------------------


def test_a_declaration_says_what_clients_see() -> None:
    spec: CommandSpec = Stage("test/stage/1").commands["move"].spec
    assert (spec.name, spec.kind, spec.doc, spec.level, spec.dangerous) == (
        "move",
        "command",
        "Move an axis.",
        "operator",
        False,
    )
    axis, degrees, speed, steps = spec.arguments
    assert axis.datatype.labels == ("theta", "phi") and axis.required
    assert (degrees.unit, degrees.limits, degrees.doc) == ("deg", (-90.0, 180.0), "Where to")
    assert (speed.datatype.labels, speed.default, speed.required) == (("slow", "fast"), "slow", False)
    assert (steps.datatype.kind, steps.default) == (Kind.INT64, 10)
    assert spec.result is not None and spec.result.kind is Kind.STRING
    facts = Stage("test/stage/1").commands["facts"].spec
    assert facts.json_result and facts.result is None


def test_a_command_of_more_than_two_and_a_half_seconds_must_be_an_operation() -> None:
    with pytest.raises(ValueError, match="declare an operation"):
        command(timeout=2.6)
    command(timeout=2.5)


async def no_annotation(self: Any, seconds) -> None: ...  # type: ignore[no-untyped-def]
async def no_such_type(self: Any, seconds: complex) -> None: ...
async def no_such_result(self: Any) -> complex: ...  # type: ignore[empty-body]
async def wrong_default(self: Any, seconds: float = "soon") -> None: ...  # type: ignore[assignment]
async def no_choice(self: Any, speed: Literal["slow"] = "fast") -> None: ...  # type: ignore[assignment]


@pytest.mark.parametrize(
    "function, error",
    [
        (no_annotation, TypeError),
        (no_such_type, TypeError),
        (no_such_result, TypeError),
        (wrong_default, BadValueError),
        (no_choice, RangeError),
    ],
)
def test_a_wrong_declaration_is_found_when_the_class_is_made(function: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        command()(function)


def test_an_operation_gets_its_run_first_and_that_is_no_argument_of_the_client() -> None:
    async def expose(self: Any, run: Operation, seconds: float) -> None: ...

    specs = argument_specs(expose, skip=2)
    assert [spec.name for spec in specs] == ["seconds"]
    assert operation(when_busy="queue", dangerous=True)(expose).__command__.when_busy == "queue"  # type: ignore[attr-defined]
