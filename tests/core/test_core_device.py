"""Devices: what is built from a declaration, and the state that they show."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from typing import Any

import pytest

from devices.core import (
    Device,
    DeviceState,
    Part,
    Properties,
    Quality,
    attribute,
    command,
    operation,
    pipeline,
    poll,
    setting,
)
from devices.core.errors import ConfigurationError, RefusedError, UnknownNameError, reason
from tests.support.everything import Everything
from tests.support.running import running, until

S = DeviceState


@dataclass(frozen=True)
class RackProperties(Properties):
    inputs: int = setting(2, limits=(1, 4))


class Input(Part["Rack"]):
    """One sensor."""

    volts = attribute(float, unit="V", label="Input {key}", doc="Voltage of input {key}", alarm=(-1.0, 5.0))
    range = attribute(int, initial=1)
    level = attribute(float)

    def __init__(self, device: Rack, key: str) -> None:
        super().__init__(device, key)
        self.polled = 0

    @range.write
    async def write_range(self, number: int) -> None:
        self.device.log.info("%s", number)
        self.device.ranges[self.key] = number

    @poll(0.01)
    async def poll_volts(self) -> None:
        self.polled += 1
        if self.key in self.device.open_inputs:
            raise RefusedError(f"input {self.key} is open")
        self.volts.publish(float(ord(self.key) - ord("a")))

    @level.read(0.01)
    async def read_level(self) -> float:
        return 0.5 if self.key == "a" else float("nan")

    @command()
    async def zero(self) -> str:
        """Zero input {key}."""
        return self.key


class Rack(Device):
    """A rack of sensors."""

    properties_class = RackProperties
    properties: RackProperties

    total = attribute(float, unit="V", warning=(None, 3.0))

    def __init__(self, name: str = "test/rack/1", properties: Any = None) -> None:
        self.ranges: dict[str, int] = {}
        self.open_inputs: set[str] = set()
        super().__init__(name, properties)

    def build(self) -> None:
        self.inputs = self.parts(Input, "abcd"[: self.properties.inputs])


# What is built ----------------------------------------------------------------------------------------------------


def test_parts_repeat_their_attributes_and_commands_under_their_key() -> None:
    rack = Rack(properties={"inputs": "3"})
    assert list(rack.attributes) == ["alarm_summary", "reserved_by", "total"] + [
        f"{name}_{key}" for key in "abc" for name in ("volts", "range", "level")
    ]
    spec = rack.inputs["b"].volts.spec
    assert (spec.name, spec.label, spec.doc, spec.unit) == ("volts_b", "Input B", "Voltage of input B", "V")
    assert rack.commands["zero_c"].spec.doc == "Zero input C."
    assert rack.attributes["volts_b"] is rack.inputs["b"].volts
    assert Input.volts.spec.name == "volts", "the declaration itself is untouched"
    assert asyncio.run(rack.run("zero_b")) == "b"
    asyncio.run(rack.put("range_c", 4))
    assert rack.ranges == {"c": 4} and rack.inputs["a"].range.value == 1


def test_each_part_is_polled_by_itself_and_a_bad_one_stops_no_other() -> None:
    async def scenario() -> None:
        rack = Rack(properties={"inputs": 3})
        rack.open_inputs = {"b"}
        async with running(rack):
            await until(lambda: rack.inputs["c"].polled > 5 and rack.inputs["a"].level.quality is Quality.VALID)
            assert rack.inputs["c"].volts.value == 2.0 and rack.inputs["b"].volts.reading.value is None
            assert rack.inputs["b"].level.reading.reason == "not a number"
            rack.open_inputs.clear()
            await until(lambda: rack.inputs["b"].volts.reading.value == 1.0)

    asyncio.run(scenario())


def test_a_model_without_a_feature_drops_it() -> None:
    class Small(Rack):
        def build(self) -> None:
            super().build()
            self.without("range_b", "zero_a", "total")

    small = Small()
    assert not {"range_b", "total"} & set(small.attributes) and "zero_a" not in small.commands
    assert "range_a" in small.attributes
    with pytest.raises(UnknownNameError):
        asyncio.run(small.put("range_b", 1))

    class Wrong(Rack):
        def build(self) -> None:
            self.without("warp")

    with pytest.raises(TypeError, match="Wrong has no attribute or command warp"):
        Wrong()


def test_a_subclass_adds_replaces_and_removes_attributes() -> None:
    class Bigger(Rack):
        total = attribute(float, unit="mV")
        extra = attribute(int)

    class Lesser(Bigger):
        extra = None  # type: ignore[assignment]

    assert Bigger().total.spec.unit == "mV" and Rack().total.spec.unit == "V"
    assert "extra" in Bigger().attributes and "extra" not in Lesser().attributes


def test_two_attributes_or_commands_of_one_name_are_refused() -> None:
    class Clash(Rack):
        volts_a = attribute(float)

    class Commands(Rack):
        @command()
        async def zero_b(self) -> None:
            """In the way of the part's own."""

    with pytest.raises(TypeError, match="Clash has two attributes volts_a"):
        Clash()
    with pytest.raises(TypeError, match="Commands has two commands zero_b"):
        Commands()


@pytest.mark.parametrize("name", ["state", "status", "put", "interface", "log", "name", "connected"])
def test_an_attribute_cannot_take_the_name_of_a_member_of_every_device(name: str) -> None:
    with pytest.raises((TypeError, AttributeError), match=name):
        type("Wrong", (Device,), {name: attribute(float)})("test/wrong/1")


def test_nor_can_a_command_a_poll_or_a_pipeline() -> None:
    async def run(self: Any) -> None: ...

    for item in (command()(run), poll(1.0)(run), pipeline(reason)):
        with pytest.raises(TypeError, match=r"Wrong.start hides a member of Device"):
            type("Wrong", (Device,), {"start": item})


def test_an_attribute_is_published_or_put_and_never_assigned() -> None:
    rack = Rack()
    with pytest.raises(AttributeError, match=r"Rack.total is an attribute: publish\(\) or put\(\) a value"):
        rack.total = 3.0  # type: ignore[assignment]
    with pytest.raises(AttributeError):
        rack.inputs["a"].volts = 3.0  # type: ignore[assignment]


def test_wrong_properties_are_all_reported_before_anything_is_built() -> None:
    with pytest.raises(ConfigurationError) as caught:
        Rack("test/rack/7", {"inputs": "9", "colour": "red"})
    assert caught.value.subject == "test/rack/7" and len(caught.value.problems) == 2


def test_describe_gives_the_interface_as_json() -> None:
    device = Everything("test/everything/1", {"channels": 3})
    text = asyncio.run(device.run("describe"))
    assert text == device.interface.to_json()
    assert [item["name"] for item in json.loads(text)["commands"]][-5:] == [
        "apply_memorized", "memorized", "reserve", "release", "describe",
    ]  # fmt: skip


# State and status -------------------------------------------------------------------------------------------------


def test_a_device_is_init_until_it_has_reached_its_hardware_and_then_on() -> None:
    async def scenario() -> None:
        rack = Rack()
        assert rack.state is S.INIT and rack.status == "The device is in INIT state.\nnot started"
        seen: list[DeviceState] = []
        rack.state_attribute.subscribe(lambda live, reading, event: seen.append(reading.value))
        async with running(rack):
            await until(lambda: rack.state is S.ON)
            assert rack.status.startswith("The device is in ON state.")
        assert seen == [S.ON, S.OFF]

    asyncio.run(scenario())


def test_a_state_that_the_device_set_while_it_connected_stays() -> None:
    class Sleeper(Rack):
        async def connect(self) -> None:
            self.set_state(S.STANDBY, "cooling down")

    async def scenario() -> None:
        async with running(Sleeper()) as rack:
            await until(lambda: rack.inputs["a"].polled > 2)
            assert rack.state is S.STANDBY and rack.status == "The device is in STANDBY state.\ncooling down"

    asyncio.run(scenario())


def test_faults_add_up_and_the_state_comes_back_when_the_last_one_is_over() -> None:
    rack = Rack()
    rack.set_state(S.ON)
    heard: list[str] = []
    rack.status_attribute.subscribe(lambda live, reading, event: heard.append(reading.value))
    rack.set_fault("pump", "the pump is off")
    rack.set_fault("water", "no cooling water")
    rack.set_fault("water", "no cooling water")
    assert len(heard) == 2, "the same fault again is no news"
    assert rack.state is S.FAULT
    assert rack.status == "The device is in FAULT state.\nthe pump is off\nno cooling water"
    rack.set_fault("pump", "")
    assert rack.state is S.FAULT and "pump" not in rack.status
    rack.set_fault("water", "")
    rack.set_fault("water", "")
    assert rack.state is S.ON and rack.status == "The device is in ON state."


def test_an_alarm_shows_in_the_state_and_during_an_exposure_in_the_status() -> None:
    class Exposing(Rack):
        @operation()
        async def expose(self, run: Any) -> None:
            """Take a frame."""
            await asyncio.Event().wait()

    async def scenario() -> None:
        async with running(Exposing()) as rack:
            await until(lambda: rack.state is S.ON)
            rack.total.publish(3.0)
            assert rack.state is S.ALARM
            await rack.run("expose")
            assert rack.state is S.RUNNING and rack.total.quality is Quality.WARNING
            assert rack.alarm_summary.value == "WARNING total = 3.0 V (HIGH 3.0 V)"
            await until(lambda: "expose is running" in rack.status)
            assert rack.alarm_summary.value in rack.status
            rack.operations.abort()
            await until(lambda: rack.state is S.ALARM)
            rack.total.publish(2.9)
            assert rack.state is S.ON

    asyncio.run(scenario())


def test_the_summary_of_hundreds_of_alarms_has_an_end() -> None:
    class Many(Device):
        def build(self) -> None:
            self.many = self.parts(Input, [f"{number:03}" for number in range(300)])  # type: ignore[type-var]

    many = Many("test/many/1")
    for part in many.many.values():
        part.volts.publish(5.0)
    assert 3000 < len(many.alarm_summary.value) <= 4000
    assert many.status.count("ALARM volts_") == 300


def test_a_device_that_breaks_inside_says_so(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(self: Any) -> None:
        raise ZeroDivisionError("a bug of ours")

    monkeypatch.setattr("devices.core.poller.Poller.run", broken)

    async def scenario() -> None:
        async with running(Rack()) as rack:
            await until(lambda: rack.state is S.FAULT)
            assert "the device does not poll nor connect any more: ZeroDivisionError: a bug of ours" in rack.status

    asyncio.run(scenario())
    assert "a bug of ours" in caplog.text


def test_a_device_can_be_stopped_twice_and_without_a_start() -> None:
    async def scenario() -> None:
        rack = Rack()
        await rack.stop()
        assert rack.state is S.OFF
        async with running(rack):
            await until(lambda: rack.state is not S.INIT)
            await rack.stop()
        assert rack.state is S.OFF
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(scenario())


def test_an_error_of_python_has_the_name_of_its_meaning() -> None:
    assert reason(TimeoutError()) == "TimeoutError" == reason(TimeoutError())
    assert reason(ConnectionRefusedError()) == "NotConnectedError" == reason(BrokenPipeError())
    assert reason(RefusedError("x")) == "RefusedError"
    assert reason(ZeroDivisionError()) == "ZeroDivisionError"
