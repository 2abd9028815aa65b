"""Memorized values: a store that is slow or dead delays, never fails; a restart never moves the hardware by itself."""

from __future__ import annotations

import asyncio
import enum
import logging
import threading
import time
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pytest

from devices.core import Device, DeviceState, Quality, attribute, memorized, poll
from devices.core.errors import NotConnectedError, RangeError, RefusedError, UnknownNameError
from devices.core.memorized import Memory
from tests.support.running import running, until


class DiskStore:
    """What a database keeps; it can be dead, slow, and counts how often it is asked."""

    def __init__(self, **values: str) -> None:
        self.values: dict[str, str] = dict(values)
        self.saves: list[dict[str, str]] = []
        self.dead: Exception | None = None
        self.attempts = 0
        self.go = threading.Event()
        self.go.set()

    def load(self) -> Mapping[str, str]:
        self.go.wait(5.0)
        if self.dead:
            raise self.dead
        return dict(self.values)

    def save(self, values: Mapping[str, str]) -> None:
        self.attempts += 1
        self.go.wait(5.0)
        if self.dead:
            raise self.dead
        self.saves.append(dict(values))
        self.values.update(values)


@pytest.fixture(autouse=True)
def quick_saves(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(memorized, "COALESCE", 0.03)
    monkeypatch.setattr(memorized, "LONGEST_RETRY", 0.05)
    yield


class Filter(enum.Enum):
    OPEN = "open"
    RED = "red"


class Heater(Device):
    """Hardware that keeps its own set point over a restart of the server."""

    setpoint = attribute(float, unit="K", setpoint_follows=True, memorized="show")
    position = attribute(float, unit="mm", memorized="apply")
    wheel = attribute(Filter, memorized="show")
    gain = attribute(float, access="read_write", memorized="show", initial=1.0, limits=(0.0, 10.0))
    title = attribute(str, access="read_write", memorized="apply")
    mask = attribute(np.uint16, shape=(2, 3), access="read_write", memorized="show")
    forgotten = attribute(float, access="read_write")

    def __init__(self, register: float = 77.0) -> None:
        super().__init__("test/heater/1")
        self.register = register
        self.moved: list[float] = []
        self.broken: Exception | None = None
        self.link_error: Exception | None = None

    async def connect(self) -> None:
        self.wheel.publish_setpoint(Filter.OPEN)

    @poll(0.01)
    async def poll_register(self) -> None:
        self.setpoint.publish(self.register)

    @poll(0.01)
    async def poll_broken_sensor(self) -> None:
        if self.broken:
            raise self.broken

    @setpoint.write
    async def write_setpoint(self, kelvin: float) -> None:
        self.moved.append(kelvin)
        self.register = kelvin

    @position.write
    async def write_position(self, mm: float) -> None:
        if self.link_error is not None:
            error, self.link_error = self.link_error, None
            raise error
        self.moved.append(mm)
        self.position.publish(mm)

    @wheel.write
    async def write_wheel(self, colour: Filter) -> None:
        self.moved.append(-1.0)


async def contacted(device: Heater) -> None:
    await until(lambda: device.state is DeviceState.ON and device.setpoint.quality is Quality.VALID)


def restored(device: Heater) -> bool:
    assert device._poller is not None
    return device._poller._restored


# After a restart --------------------------------------------------------------------------------------------------


def test_show_adopts_the_hardwares_value_offers_ours_and_writes_nothing() -> None:
    async def scenario() -> None:
        store = DiskStore(setpoint="250.0", wheel='"red"')
        async with running(Heater(), store) as heater:
            await until(lambda: len(heater.offers) == 2)
            assert heater.setpoint.value == 77.0
            assert heater.setpoint.setpoint is not None and heater.setpoint.setpoint.value == 77.0
            assert heater.offers == {"setpoint": 250.0, "wheel": "red"} and heater.moved == []
            assert "memorized: setpoint = 250.0; apply_memorized 'setpoint' writes it" in heater.status
            assert store.saves == []

    asyncio.run(scenario())


def test_what_the_hardware_holds_already_is_not_offered() -> None:
    async def scenario() -> None:
        async with running(Heater(), DiskStore(setpoint="77.0", wheel='"open"')) as heater:
            await until(lambda: restored(heater))
            assert heater.offers == {} and "memorized" not in heater.status

    asyncio.run(scenario())


def test_an_offer_can_be_taken_and_is_then_gone() -> None:
    async def scenario() -> None:
        async with running(Heater(), DiskStore(setpoint="250.0", wheel='"red"')) as heater:
            await until(lambda: len(heater.offers) == 2)
            await heater.run("apply_memorized", {"name": "setpoint"})
            assert heater.moved == [250.0] and heater.offers == {"wheel": "red"}
            await until(lambda: heater.setpoint.value == 250.0)
            with pytest.raises(UnknownNameError, match="no value of position is memorized"):
                await heater.run("apply_memorized", {"name": "position"})
            assert await heater.run("memorized") == '{"setpoint": 250.0, "wheel": "red"}'

    asyncio.run(scenario())


def test_an_offer_ends_when_a_client_puts_another_value() -> None:
    async def scenario() -> None:
        async with running(Heater(), DiskStore(setpoint="250.0")) as heater:
            await until(lambda: heater.offers)
            await heater.put("setpoint", 90.0)
            assert heater.offers == {} and "memorized" not in heater.status

    asyncio.run(scenario())


def test_apply_writes_once_and_not_again_when_the_link_was_lost() -> None:
    async def scenario() -> None:
        async with running(Heater(), DiskStore(position="3.5")) as heater:
            await until(lambda: heater.moved)
            assert heater.moved == [3.5] and heater.position.value == 3.5
            heater.broken = NotConnectedError("the cable is out")
            await until(lambda: heater.state is DeviceState.FAULT)
            heater.broken = None
            await contacted(heater)
            await asyncio.sleep(0.05)
            assert heater.moved == [3.5]

    asyncio.run(scenario())


def test_apply_waits_for_the_hardware_and_is_tried_again_when_the_link_broke_meanwhile() -> None:
    async def scenario() -> None:
        heater = Heater()
        heater.link_error = NotConnectedError("the cable is out")
        async with running(heater, DiskStore(position="3.5")):
            await until(lambda: heater.moved == [3.5])
            assert heater.link_error is None

    asyncio.run(scenario())


def test_apply_that_the_hardware_refuses_is_logged_and_stops_nothing(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        heater = Heater()
        heater.link_error = RefusedError("motor is off")
        async with running(heater, DiskStore(position="3.5", setpoint="250.0")):
            await until(lambda: heater.offers)
            assert heater.moved == [] and heater.state is DeviceState.ON

    asyncio.run(scenario())
    assert "memorized position = 3.5 is not applied: RefusedError: motor is off" in caplog.text


def test_one_bad_sensor_does_not_hold_up_the_memorized_values() -> None:
    async def scenario() -> None:
        heater = Heater()
        heater.broken = RefusedError("the sensor is open")
        async with running(heater, DiskStore(position="3.5", setpoint="250.0")):
            await until(lambda: heater.moved == [3.5] and heater.offers == {"setpoint": 250.0})

    asyncio.run(scenario())


def test_settings_of_the_device_itself_are_restored_whatever_they_say() -> None:
    async def scenario() -> None:
        store = DiskStore(gain="4.5", title='"run 7"', mask="[[1, 2, 3], [4, 5, 65535]]", forgotten="9.0")
        async with running(Heater(), store) as heater:
            await contacted(heater)
            assert heater.gain.value == 4.5 and heater.gain.setpoint is not None
            assert heater.gain.setpoint.value == 4.5
            assert heater.title.value == "run 7"
            assert heater.mask.value.tolist() == [[1, 2, 3], [4, 5, 65535]]
            assert heater.forgotten.quality is Quality.INVALID, "it is not memorized any more"
            assert heater.offers == {}

    asyncio.run(scenario())


@pytest.mark.parametrize("text", ['"high"', "[1, 2]", "null", "11.0", "NaN"])
def test_a_setting_that_does_not_fit_any_more_is_reported_and_left(text: str, caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        async with running(Heater(), DiskStore(gain=text, title='"run 7"')) as heater:
            await contacted(heater)
            assert heater.gain.value == 1.0 and heater.title.value == "run 7"

    asyncio.run(scenario())
    assert "memorized gain = " in caplog.text and "does not fit" in caplog.text


@pytest.mark.parametrize("text", ["{", "", "[" * 100_000, None])
def test_a_text_that_is_not_json_is_reported_and_left(text: Any, caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        async with running(Heater(), DiskStore(gain=text, title='"run 7"')) as heater:
            await contacted(heater)
            assert heater.title.value == "run 7"

    asyncio.run(scenario())
    assert "the memorized value of gain is not JSON" in caplog.text


def test_a_store_that_is_dead_at_the_start_is_reported_and_the_device_works(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        store = DiskStore()
        store.dead = TimeoutError()
        async with running(Heater(), store) as heater:
            await contacted(heater)

    asyncio.run(scenario())
    assert "memorized values cannot be read: TimeoutError" in caplog.text


def test_a_put_during_a_slow_start_is_newer_than_what_the_store_says() -> None:
    async def scenario() -> None:
        store = DiskStore(gain="4.5")
        store.go.clear()
        async with running(Heater(), store) as heater:
            await heater.put("gain", 2.0)
            store.go.set()
            await contacted(heater)
            assert heater.gain.value == 2.0
            await until(lambda: store.values["gain"] == "2.0")

    asyncio.run(scenario())


# Saving -----------------------------------------------------------------------------------------------------------


def test_what_is_put_survives_a_restart() -> None:
    async def scenario() -> None:
        store = DiskStore()
        async with running(Heater(), store) as heater:
            await contacted(heater)
            await heater.put("setpoint", 250.0)
            await heater.put("wheel", "RED")
            await heater.put("mask", np.array([[1, 2, 3]], np.uint16))
            await heater.put("forgotten", 5.0)
        assert store.values == {"setpoint": "250.0", "wheel": '"red"', "mask": "[[1, 2, 3]]"}
        async with running(Heater(), store) as heater:
            await until(lambda: heater.offers == {"setpoint": 250.0, "wheel": "red"})
            assert heater.mask.value.tolist() == [[1, 2, 3]]

    asyncio.run(scenario())


def test_many_puts_go_to_the_store_together_and_the_last_one_counts() -> None:
    async def scenario() -> None:
        store = DiskStore()
        async with running(Heater(), store) as heater:
            await contacted(heater)
            for step in range(40):
                await heater.put("gain", step / 10)
                await heater.put("title", f"run {step}")
            assert store.saves == []
            await until(lambda: store.values)
            assert store.saves == [{"gain": "3.9", "title": '"run 39"'}]

    asyncio.run(scenario())


def test_a_dead_store_fails_no_put_and_gets_the_newest_value_when_it_lives_again(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario() -> None:
        store = DiskStore()
        memory = Memory("test/heater/1", store)
        store.dead = ConnectionError("no database")
        memory.remember("gain", 1.0)
        await until(lambda: store.attempts >= 3)
        memory.remember("gain", 2.0)
        memory.remember("title", "new")
        store.dead = None
        await until(lambda: store.values == {"gain": "2.0", "title": '"new"'})
        await memory.close()

    # The wait between two attempts is at least a second; time itself is shortened here.
    sleep = asyncio.sleep
    monkeypatch.setattr(memorized.asyncio, "sleep", lambda seconds: sleep(min(seconds, 0.02)))
    with caplog.at_level(logging.INFO):
        asyncio.run(scenario())
    assert caplog.text.count("memorized values wait for their store: NotConnectedError: no database") == 1
    assert caplog.text.count("memorized values are stored again") == 1


def test_a_value_that_is_put_while_an_older_one_is_being_saved_is_saved_too() -> None:
    async def scenario() -> None:
        store = DiskStore()
        memory = Memory("test/heater/1", store)
        store.go.clear()
        memory.remember("gain", 1.0)
        await until(lambda: store.attempts == 1)
        memory.remember("gain", 2.0)
        store.go.set()
        await until(lambda: store.values.get("gain") == "2.0")
        assert store.saves == [{"gain": "1.0"}, {"gain": "2.0"}]
        await memory.close()

    asyncio.run(scenario())


def test_stopping_saves_what_is_pending_at_once() -> None:
    async def scenario() -> None:
        store = DiskStore()
        async with running(Heater(), store) as heater:
            await heater.put("gain", 4.0)
        assert store.values == {"gain": "4.0"}

    asyncio.run(scenario())


def test_stopping_with_a_dead_store_says_what_is_lost(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        store = DiskStore()
        async with running(Heater(), store) as heater:
            await heater.put("gain", 4.0)
            await heater.put("title", "x")
            store.dead = TimeoutError()
            began = time.monotonic()
        assert time.monotonic() - began < 2.0

    asyncio.run(scenario())
    assert "memorized values are lost (gain, title): TimeoutError" in caplog.text


def test_without_a_store_values_are_kept_while_the_device_runs() -> None:
    async def scenario() -> None:
        async with running(Heater()) as heater:
            await heater.put("gain", 4.0)
            assert heater.memory.values == {"gain": 4.0}
            with pytest.raises(RangeError):
                await heater.put("gain", 11.0)
            assert heater.memory.values == {"gain": 4.0}

    asyncio.run(scenario())
