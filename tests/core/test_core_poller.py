"""The poller against a thermostat on a real socket: switched off, silent, talking nonsense, and back again."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterator

import pytest

from devices.core import Device, DeviceState, Event, Quality, attribute, poll, poller
from devices.core.errors import NotConnectedError, ProtocolError
from tests.support.running import running, until
from tests.support.thermostat import Thermostat, hardware


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The same doubling of waiting times, ten times faster."""
    assert (poller.FIRST_RETRY, poller.LONGEST_RETRY, poller.TIMEOUTS_TO_LOSE) == (0.2, 5.0, 3)
    monkeypatch.setattr(poller, "FIRST_RETRY", 0.02)
    monkeypatch.setattr(poller, "LONGEST_RETRY", 0.1)
    yield


def messages(caplog: pytest.LogCaptureFixture, text: str) -> list[str]:
    return [record.message for record in caplog.records if text in record.message]


def works(device: Thermostat) -> bool:
    return device.connected and device.temperature.quality is device.pressure.quality is Quality.VALID


# The link ---------------------------------------------------------------------------------------------------------


def test_hardware_that_is_off_at_the_start_is_found_when_it_is_switched_on(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        async with hardware(on=False) as thing, running(Thermostat(thing.port)) as device:
            await until(lambda: device.connects >= 3, "it tries again")
            assert device.state is DeviceState.FAULT and "NotConnectedError" in device.status
            for live in (device.identity, device.temperature, device.pressure, device.result):
                assert live.quality is Quality.INVALID and live.reading.reason.startswith("NotConnectedError: ")
            await thing.switch_on()
            await until(lambda: works(device))
            assert (device.temperature.value, device.pressure.value, device.identity.value) == (
                77.5,
                0.25,
                "THERMOSTAT 7",
            )
            assert device.state is DeviceState.ON and "NotConnectedError" not in device.status
            assert device.result.reading.reason == "no value yet", "the link is not its trouble any more"
            assert device.disconnects == device.connects - 1, "a disconnect after every connect that failed"

    with caplog.at_level(logging.INFO):
        asyncio.run(scenario())
    assert len(messages(caplog, "link: NotConnectedError: ")) == 1, "logged once, not at every attempt"
    assert len(messages(caplog, "link: works again")) == 1


def test_a_link_that_is_lost_makes_its_values_invalid_and_comes_back(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        async with hardware() as thing, running(Thermostat(thing.port)) as device:
            await until(lambda: works(device))
            await device.run("measure")
            await device.put("note", "do not move")
            await thing.switch_off()
            await until(lambda: not device.connected and device.state is DeviceState.FAULT)
            for live in (device.identity, device.temperature, device.pressure, device.heater):
                assert live.reading.value is None
                assert "NotConnectedError: " in live.reading.reason
            assert "NotConnectedError: " in device.status
            assert device.note.value == "do not move", "a setting of the device itself"
            with pytest.raises(NotConnectedError):
                await device.put("heater", 90.0)
            await thing.switch_on()
            await until(lambda: works(device) and device.state is DeviceState.ON)
            assert thing.connections == 2
            assert "NotConnectedError" not in device.status

    with caplog.at_level(logging.INFO):
        asyncio.run(scenario())
    assert len(messages(caplog, "link: works again")) == 1


def test_attempts_to_connect_come_ever_more_slowly_and_not_all_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(poller, "FIRST_RETRY", 0.2)
    monkeypatch.setattr(poller, "LONGEST_RETRY", 5.0)
    waits: list[float] = []
    sleep = asyncio.sleep

    async def noted(seconds: float) -> None:
        waits.append(seconds)
        await sleep(0.001)

    async def scenario() -> None:
        async with hardware(on=False) as thing:
            with monkeypatch.context() as patch:
                patch.setattr(asyncio, "sleep", noted)
                async with running(Thermostat(thing.port)) as device:
                    while device.connects < 12:
                        await sleep(0.002)

    asyncio.run(scenario())
    for expected, wait in zip([0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0, 5.0], waits, strict=False):
        assert 0.8 * expected <= wait <= 1.2 * expected, waits
    assert len(set(waits[5:])) > 1, "jitter spreads the load"


def test_three_answers_that_do_not_come_are_a_lost_link() -> None:
    async def scenario() -> None:
        async with hardware() as thing, running(Thermostat(thing.port)) as device:
            device.answer_within = 0.03
            await until(lambda: works(device))
            thing.instead["T?"] = thing.instead["P?"] = thing.instead["S?"] = ""
            await until(lambda: device.state is DeviceState.FAULT)
            assert device.temperature.reading.reason.startswith("TimeoutError: no answer to")
            asked = thing.asked.count("T?")
            thing.instead.clear()
            await until(lambda: works(device))
            assert thing.connections >= 2 and thing.asked.count("T?") > asked

    asyncio.run(scenario())


def test_two_answers_that_do_not_come_are_not() -> None:
    async def scenario() -> None:
        async with hardware() as thing, running(Thermostat(thing.port)) as device:
            device.answer_within = 0.03
            await until(lambda: works(device))
            asked = thing.asked.count("T?")
            thing.instead["T?"] = ""
            await until(lambda: thing.asked.count("T?") >= asked + 2)
            del thing.instead["T?"]
            await until(lambda: works(device))
            await asyncio.sleep(0.1)
            assert thing.connections == 1 and works(device)

    asyncio.run(scenario())


def test_an_error_of_a_socket_that_the_driver_did_not_translate_is_a_lost_link_too() -> None:
    class Raw(Thermostat):
        async def ask(self, line: str) -> str:
            if line == "T?" and self.connects == 1 and self.pressure.reading.value is not None:
                raise ConnectionResetError("reset by peer")
            return await super().ask(line)

    async def scenario() -> None:
        async with hardware() as thing, running(Raw(thing.port)) as device:
            await until(lambda: thing.connections == 2 and works(device))

    asyncio.run(scenario())


def test_who_puts_while_the_device_connects_does_not_break_the_new_link() -> None:
    async def scenario() -> None:
        async with hardware() as thing:
            device = Thermostat(thing.port)
            connect, tried = device.connect, asyncio.Event()

            async def slowly() -> None:
                tried.set()
                await asyncio.sleep(0.05)
                await connect()

            device.connect = slowly  # type: ignore[method-assign]
            async with running(device):
                await tried.wait()
                for _ in range(3):
                    with pytest.raises(NotConnectedError):
                        await device.put("heater", 90.0)
                    await asyncio.sleep(0.005)
                await until(lambda: works(device))
                await asyncio.sleep(0.05)
                assert thing.connections == 1

    asyncio.run(scenario())


def test_a_put_that_finds_the_link_broken_makes_the_device_connect_again() -> None:
    class Quiet(Device):
        """Polls nothing, so only a put can find out."""

        level = attribute(float)
        connects = 0

        async def connect(self) -> None:
            self.connects += 1

        @level.write
        async def write_level(self, mm: float) -> None:
            if self.connects == 1:
                raise NotConnectedError("the cable is out")

    async def scenario() -> None:
        async with running(Quiet("test/quiet/1")) as device:
            await until(lambda: device.connected)
            with pytest.raises(NotConnectedError, match="the cable is out"):
                await device.put("level", 1.0)
            await until(lambda: device.connects == 2 and device.connected)
            await device.put("level", 1.0)

    asyncio.run(scenario())


# One poll and its neighbours --------------------------------------------------------------------------------------


def test_a_sensor_that_talks_nonsense_never_stops_its_neighbour(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        async with hardware() as thing, running(Thermostat(thing.port)) as device:
            await until(lambda: works(device))
            thing.instead["T?"] = "--.--"
            await until(lambda: device.temperature.quality is Quality.INVALID)
            reason = "ProtocolError: T? was answered by '--.--', not by a number"
            assert device.temperature.reading.reason == reason
            for _ in range(5):
                last = device.pressure.timestamp
                await until(lambda last=last: device.pressure.timestamp > last, "the neighbour goes on")
            assert device.pressure.quality is Quality.VALID and device.state is DeviceState.ON
            asked = thing.asked.count("T?")
            await until(lambda: thing.asked.count("T?") >= asked + 3, "it is asked again and again")
            assert not messages(caplog, "works again")
            thing.instead.clear()
            await until(lambda: works(device))
            assert thing.connections == 1

    with caplog.at_level(logging.INFO):
        asyncio.run(scenario())
    assert len(messages(caplog, "reading temperature: ProtocolError")) == 1, "logged once"
    assert len(messages(caplog, "reading temperature: works again")) == 1


def test_another_trouble_of_the_same_poll_is_logged_anew(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        async with hardware() as thing, running(Thermostat(thing.port)) as device:
            for nonsense in ("open", "short"):
                thing.instead["T?"] = nonsense
                await until(lambda nonsense=nonsense: nonsense in device.temperature.reading.reason)

    asyncio.run(scenario())
    assert len(messages(caplog, "'open'")) == len(messages(caplog, "'short'")) == 1


def test_what_a_poll_published_before_it_failed_stays_valid() -> None:
    async def scenario() -> None:
        async with hardware() as thing, running(Thermostat(thing.port)) as device:
            await until(lambda: works(device))
            qualities: list[Quality] = []
            device.heater.subscribe(lambda live, reading, event: qualities.append(reading.quality))
            thing.instead["P?"] = "ERR"
            await until(lambda: device.pressure.quality is Quality.INVALID)
            thing.setpoint = 123.0
            await until(lambda: device.heater.reading.value == 123.0)
            assert set(qualities) == {Quality.VALID}
            thing.instead["S?"] = "ERR"
            await until(lambda: device.heater.quality is Quality.INVALID, "and what it did not read is not")

    asyncio.run(scenario())


def test_a_bad_poll_is_tried_ever_more_rarely_for_ever() -> None:
    """More than a thousand failures, after which 2**failures is no float any more."""

    class Bad(Device):
        attempts: list[float]
        good = 0

        @poll(0.01)
        async def bad(self) -> None:
            self.attempts.append(time.monotonic())
            raise ProtocolError("checksum")

        @poll(0.01)
        async def neighbour(self) -> None:
            self.good += 1

    async def scenario(device: Bad) -> None:
        device.attempts = []
        async with running(device):
            await until(lambda: len(device.attempts) >= 6)
        waits = [b - a for a, b in zip(device.attempts, device.attempts[1:], strict=False)]
        for expected, wait in zip([0.01, 0.03, 0.07, 0.1, 0.1], waits, strict=False):
            assert wait >= 0.95 * expected
        assert device.good > 10

    asyncio.run(scenario(Bad("test/bad/1")))

    async def for_ever(device: Bad) -> None:
        device.attempts = []
        async with running(device):
            await until(lambda: len(device.attempts) > 1100)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(poller, "LONGEST_RETRY", 0.0)
        Bad.bad.__poll__ = 0.0001  # type: ignore[attr-defined]
        asyncio.run(for_ever(Bad("test/bad/2")))


def test_a_poll_that_hangs_is_ended_and_its_neighbour_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(poller, "POLL_TIMEOUT", 0.05)

    class Hanging(Device):
        value = attribute(float)
        good = 0
        hang = False

        @poll(0.01)
        async def hanging(self) -> None:
            if self.hang:
                await asyncio.Event().wait()
            self.value.publish(1.0)

        @poll(0.01)
        async def neighbour(self) -> None:
            self.good += 1

    async def scenario() -> None:
        async with running(Hanging("test/hanging/1")) as device:
            await until(lambda: device.value.quality is Quality.VALID)
            device.hang = True
            good = device.good
            await until(lambda: device.value.quality is Quality.INVALID)
            assert device.value.reading.reason == "TimeoutError: hanging did not end within 0.05 s"
            assert device.good >= good + 2 and device.connected
            device.hang = False
            await until(lambda: device.value.quality is Quality.VALID)

    asyncio.run(scenario())


def test_a_poll_that_somebody_cancelled_from_within_is_tried_again() -> None:
    class Poisoned(Device):
        value = attribute(int)
        runs = 0

        @poll(0.01)
        async def poisoned(self) -> None:
            self.runs += 1
            if self.runs == 2:
                answer: asyncio.Future[int] = asyncio.get_running_loop().create_future()
                answer.cancel()
                await answer
            self.value.publish(self.runs)

    async def scenario() -> None:
        async with running(Poisoned("test/poisoned/1")) as device:
            await until(lambda: device.runs >= 5 and device.value.reading.value)

    asyncio.run(scenario())


def test_a_connect_that_somebody_cancelled_from_within_is_tried_again() -> None:
    class Poisoned(Device):
        connects = 0

        async def connect(self) -> None:
            self.connects += 1
            if self.connects < 3:
                raise asyncio.CancelledError

    async def scenario() -> None:
        async with running(Poisoned("test/poisoned/2")) as device:
            await until(lambda: device.connected)
            assert device.connects == 3

    asyncio.run(scenario())


@pytest.mark.parametrize("text", ["answer \0\0\x01", "x" * 3_000_000], ids=["NUL", "3 MB"])
def test_an_error_whose_text_no_status_can_hold_does_not_end_the_device(text: str) -> None:
    class Garbled(Device):
        value = attribute(int)
        connects = 0

        async def connect(self) -> None:
            self.connects += 1
            if self.connects < 3:
                raise ProtocolError(text)

    async def scenario() -> None:
        async with running(Garbled("test/garbled/1")) as device:
            await until(lambda: device.connects == 2)
            assert "ProtocolError: " in device.status
            await until(lambda: device.connected and device.state is DeviceState.ON)

    asyncio.run(scenario())


def test_a_slow_poll_does_not_catch_up_with_a_burst() -> None:
    class Slow(Device):
        began: list[float]

        @poll(0.02)
        async def slow(self) -> None:
            self.began.append(time.monotonic())
            if len(self.began) == 2:
                await asyncio.sleep(0.2)

    async def scenario(device: Slow) -> None:
        device.began = []
        async with running(device):
            await until(lambda: len(device.began) >= 6)
        waits = [b - a for a, b in zip(device.began, device.began[1:], strict=False)]
        assert sum(wait < 0.015 for wait in waits) <= 1, waits

    asyncio.run(scenario(Slow("test/slow/1")))


# Stop -------------------------------------------------------------------------------------------------------------


def test_a_device_that_is_stopped_says_so_and_closes_its_link() -> None:
    async def scenario() -> None:
        async with hardware() as thing:
            device = Thermostat(thing.port)
            async with running(device):
                await until(lambda: works(device))
            assert device.state is DeviceState.OFF and "stopped" in device.status
            assert not device.connected and device.disconnects == 1
            asked = len(thing.asked)
            await asyncio.sleep(0.05)
            assert len(thing.asked) == asked, "no poll goes on"
            assert [task.get_name() for task in asyncio.all_tasks() if task is not asyncio.current_task()] == []

    asyncio.run(scenario())


def test_a_device_can_be_stopped_while_it_connects() -> None:
    class Endless(Device):
        connecting = False
        disconnected = False

        async def connect(self) -> None:
            self.connecting = True
            await asyncio.Event().wait()

        async def disconnect(self) -> None:
            self.disconnected = True

    async def scenario() -> None:
        device = Endless("test/endless/1")
        async with running(device):
            await until(lambda: device.connecting)
            began = time.monotonic()
        assert time.monotonic() - began < 1.0
        assert device.disconnected and device.state is DeviceState.OFF

    asyncio.run(scenario())


def test_a_connect_that_hangs_is_ended_and_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(poller, "CONNECT_TIMEOUT", 0.05)
    monkeypatch.setattr(poller, "DISCONNECT_TIMEOUT", 0.05)

    class Hanging(Device):
        connects = 0

        async def connect(self) -> None:
            self.connects += 1
            if self.connects < 3:
                await asyncio.Event().wait()

        async def disconnect(self) -> None:
            if self.connects == 1:
                raise OSError("already closed")

    async def scenario() -> None:
        async with running(Hanging("test/hanging/2")) as device:
            await until(lambda: device.connects == 2)
            assert "TimeoutError: connecting did not end within 0.05 s" in device.status
            await until(lambda: device.connected)

    asyncio.run(scenario())


def test_a_device_without_hardware_is_on_at_once_and_its_events_come() -> None:
    class Software(Device):
        value = attribute(float, access="read_write", initial=1.0)

    async def scenario() -> None:
        async with running(Software("test/software/1")) as device:
            heard: list[Event] = []
            device.value.subscribe(lambda live, reading, event: heard.append(event))
            await until(lambda: device.state is DeviceState.ON and device.connected)
            await device.put("value", 2.0)
            assert heard

    asyncio.run(scenario())


def test_periods_are_longer_than_nothing() -> None:
    for period in (0.0, -1.0):
        with pytest.raises(ValueError, match="period"):
            poll(period)
        with pytest.raises(ValueError, match="period"):
            attribute(float).read(period)
