"""Live attributes: what the hardware publishes, what clients put, and the setpoint between them."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from typing import Any

import numpy as np
import pytest

from devices.core import Deadband, Device, DeviceState, Event, LiveAttribute, Quality, Reading, attribute, poll
from devices.core import live as live_module
from devices.core.errors import (
    AbortedError,
    BadValueError,
    InvalidReadingError,
    NotAllowedError,
    RangeError,
    RefusedError,
    TimeoutError,
)
from tests.support.running import running, until

NAN = float("nan")


class Oven(Device):
    """An oven with a register for its temperature, a lagging valve, a lamp and a spectrum of its heat."""

    temperature = attribute(
        float,
        unit="K",
        limits=(0.0, 400.0),
        warning=(80.0, 110.0),
        alarm=(70.0, 120.0),
        hysteresis=2.0,
        setpoint_follows=True,
        memorized="show",
    )
    valve = attribute(float, unit="mm", limits=(-2.0, 10.0), memorized="show")
    lamp = attribute(bool, access="read_write", initial=False)
    pin = attribute(str, access="write")
    heat = attribute(float, shape=(4,), limits=(0.0, 9.0), access="read_write")
    free = attribute(float, shape=(2, 3), access="read_write")
    turns = attribute(int, change=Deadband(absolute=10), archive=Deadband(absolute=100))

    def __init__(self, properties: Any = None) -> None:
        super().__init__("test/oven/1", properties)
        self.register = 100.0
        self.asked: list[float] = []
        self.error: BaseException | None = None
        self.reads_back = True
        self.slow_poll = False
        self.poll_asked, self.poll_answered = asyncio.Event(), asyncio.Event()
        self.hook_asked, self.hook_answered = asyncio.Event(), asyncio.Event()
        self.hook_answered.set()

    @temperature.write
    async def write_temperature(self, kelvin: float) -> None:
        self.asked.append(kelvin)
        self.hook_asked.set()
        await self.hook_answered.wait()
        if self.error is not None:
            raise self.error
        self.register = round(kelvin, 1)
        if self.reads_back:
            self.temperature.publish(self.register)

    @valve.write
    async def write_valve(self, mm: float) -> None:
        self.asked.append(mm)
        if self.error is not None:
            raise self.error
        self.valve.publish(mm / 2)

    @poll(0.01)
    async def poll_register(self) -> None:
        answer = self.register
        if self.slow_poll:
            # The answer is on its way while others (a put) go ahead.
            self.poll_asked.set()
            await self.poll_answered.wait()
        self.temperature.publish(answer)


class Listener:
    """Remembers what it was told, and in which thread."""

    def __init__(self, *lives: LiveAttribute[Any]) -> None:
        self.heard: list[tuple[str, Any, Event]] = []
        self.threads: set[int] = set()
        self.stops = [live.subscribe(self) for live in lives]

    def __call__(self, live: LiveAttribute[Any], reading: Reading[Any], event: Event) -> None:
        self.heard.append((live.name, reading.value, event))
        self.threads.add(threading.get_ident())

    def values(self, event: Event) -> list[Any]:
        return [value for _, value, kind in self.heard if event in kind]


# Publishing -------------------------------------------------------------------------------------------------------


def test_an_attribute_that_was_never_published_is_invalid_and_says_so() -> None:
    oven = Oven()
    assert oven.temperature.reading.quality is Quality.INVALID and oven.temperature.reading.value is None
    with pytest.raises(InvalidReadingError, match="temperature is INVALID: no value yet"):
        _ = oven.temperature.value
    assert oven.lamp.value is False and oven.lamp.setpoint is not None and oven.lamp.setpoint.value is False


def test_a_reading_bears_the_time_and_the_quality_that_the_hardware_gave() -> None:
    oven = Oven()
    oven.valve.publish(1.5, timestamp=1_700_000_000.25, quality=Quality.CHANGING)
    assert oven.valve.reading == Reading(1.5, 1_700_000_000.25, Quality.CHANGING, "")
    before = time.time()
    oven.valve.publish(2)  # type: ignore[arg-type]  # a whole number from a driver
    assert before <= oven.valve.timestamp <= time.time()
    assert type(oven.valve.value) is float


def test_bounds_can_only_make_a_quality_worse() -> None:
    oven = Oven()
    for kelvin, said, expected, reason in [
        (100.0, Quality.VALID, Quality.VALID, ""),
        (100.0, Quality.ALARM, Quality.ALARM, ""),
        (80.0, Quality.CHANGING, Quality.WARNING, "LOW 80.0 K"),
        (70.0, Quality.WARNING, Quality.ALARM, "LOLO 70.0 K"),
        (125.0, Quality.VALID, Quality.ALARM, "HIHI 120.0 K"),
    ]:
        oven.temperature.publish(kelvin, quality=said)
        assert (oven.temperature.quality, oven.temperature.reading.reason) == (expected, reason)
    oven.temperature.publish(100.0, quality=Quality.INVALID)
    assert oven.temperature.reading.value is None and oven.temperature.reading.reason


def test_hysteresis_is_forgotten_when_the_sensor_was_lost() -> None:
    oven = Oven()
    oven.temperature.publish(110.0)
    oven.temperature.publish(109.0)
    assert oven.temperature.quality is Quality.WARNING, "held by 2 K"
    oven.temperature.publish_invalid("the sensor is open")
    assert oven.temperature.reading.reason == "the sensor is open"
    oven.temperature.publish(109.0)
    assert oven.temperature.quality is Quality.VALID


def test_nan_is_invalid_and_in_a_spectrum_only_when_there_is_nothing_else() -> None:
    oven = Oven()
    oven.temperature.publish(NAN)
    assert (oven.temperature.reading.value, oven.temperature.reading.reason) == (None, "not a number")
    oven.heat.publish(np.array([NAN, 2.0, NAN]))
    assert oven.heat.quality is Quality.VALID and oven.heat.value.shape == (3,)
    oven.heat.publish(np.array([NAN, NAN]))
    assert oven.heat.quality is Quality.INVALID


def test_a_value_that_does_not_fit_is_refused_and_the_last_reading_stays() -> None:
    oven = Oven()
    oven.heat.publish(np.array([1.0, 2.0]))
    for wrong, error in (("hot", BadValueError), (np.zeros(5), RangeError), (np.zeros((2, 2)), BadValueError)):
        with pytest.raises(error, match="heat"):
            oven.heat.publish(wrong)  # type: ignore[arg-type]
    assert oven.heat.value.tolist() == [1.0, 2.0] and oven.heat.quality is Quality.VALID


def test_a_spectrum_that_was_published_cannot_be_changed_by_anyone() -> None:
    oven, counts = Oven(), np.array([1.0, 2.0, 3.0])
    oven.heat.publish(counts)
    counts[1] = 99.0
    assert oven.heat.value.tolist() == [1.0, 2.0, 3.0]
    with pytest.raises(ValueError, match="read-only"):
        oven.heat.value[0] = 5.0


# Events -----------------------------------------------------------------------------------------------------------


def test_change_and_archive_events_have_their_own_dead_bands() -> None:
    oven = Oven()
    listener = Listener(oven.turns)
    for turns in (0, 9, 10, 99, 100, 205):
        oven.turns.publish(turns)
    assert listener.values(Event.CHANGE) == [0, 10, 99, 205]
    assert listener.values(Event.ARCHIVE) == [0, 100, 205]
    assert all(event for _, _, event in listener.heard), "nobody is called for a silent reading"


def test_what_is_computed_again_is_published_only_when_it_differs() -> None:
    oven = Oven()
    heard: list[Any] = []
    for live in (oven.temperature, oven.heat):
        live.subscribe(lambda _, reading, __: heard.append(reading.quality))
    for _ in range(3):
        oven.temperature.publish_change(115.0)  # within its warning: judged, what was said stays VALID
        oven.heat.publish_change([1.0, 2.0])
    assert heard == [Quality.WARNING, Quality.VALID]
    oven.temperature.publish_change(115.0, Quality.ALARM)
    oven.heat.publish_change([2.0, 1.0])
    assert heard[2:] == [Quality.ALARM, Quality.VALID]


def test_who_acts_on_an_event_finds_the_state_that_goes_with_it() -> None:
    oven = Oven()
    oven.set_state(DeviceState.ON)
    states: list[DeviceState] = []
    oven.temperature.subscribe(lambda live, reading, event: states.append(oven.state))
    for kelvin in (100.0, 120.0, 100.0):
        oven.temperature.publish(kelvin)
    assert states == [DeviceState.ON, DeviceState.ALARM, DeviceState.ON]


def test_a_listener_that_fails_or_has_left_disturbs_nobody(caplog: pytest.LogCaptureFixture) -> None:
    oven = Oven()

    def failing(live: LiveAttribute[Any], reading: Reading[Any], event: Event) -> None:
        raise ZeroDivisionError("a bug of the listener")

    oven.turns.subscribe(failing)
    listener, left = Listener(oven.turns), Listener(oven.turns)
    left.stops[0]()
    left.stops[0]()
    oven.turns.publish(7)
    assert listener.values(Event.CHANGE) == [7] and left.heard == []
    assert "test/oven/1/turns: a listener failed" in caplog.text and "a bug of the listener" in caplog.text


def test_a_new_bound_judges_the_value_anew_and_tells_the_listeners() -> None:
    oven = Oven()
    oven.set_state(DeviceState.ON)
    oven.temperature.publish(105.0)
    listener = Listener(oven.temperature)
    oven.temperature.configure(alarm=(70.0, 104.0))
    assert oven.temperature.quality is Quality.ALARM and oven.state is DeviceState.ALARM
    assert oven.temperature.reading.reason == "HIHI 104.0 K"
    assert listener.heard == [("temperature", 105.0, Event.CONFIG | Event.CHANGE | Event.ARCHIVE)]
    oven.temperature.configure(alarm=(70.0, 104.0))
    assert len(listener.heard) == 1, "nothing has changed"
    oven.temperature.configure(alarm=None, unit="degC")
    assert oven.temperature.quality is Quality.VALID and oven.state is DeviceState.ON
    oven.pin.configure(label="Secret")
    assert oven.pin.spec.label == "Secret"


def test_a_new_unit_does_not_hide_what_the_hardware_said_of_its_value() -> None:
    oven = Oven()
    oven.valve.publish(1.0, quality=Quality.ALARM)
    oven.valve.configure(unit="um")
    assert oven.valve.quality is Quality.ALARM


def test_the_alarm_summary_lists_what_is_beyond_a_bound_and_only_that() -> None:
    oven = Oven()
    oven.set_state(DeviceState.ON, "heating")
    oven.temperature.publish(110.0)
    oven.heat.publish(np.array([1.0]), quality=Quality.ALARM)
    assert oven.alarm_summary.value == "WARNING temperature = 110.0 K (HIGH 110.0 K)\nALARM heat"
    assert oven.status == "The device is in ALARM state.\nheating\n" + oven.alarm_summary.value
    oven.heat.publish_invalid("no answer")
    oven.temperature.publish(100.0)
    assert oven.alarm_summary.value == "" and oven.state is DeviceState.ON


# Puts -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name, value, error, text",
    [
        ("temperature", 400.1, RangeError, r"temperature = 400.1 K is outside \[0.0, 400.0\] K"),
        ("temperature", -0.001, RangeError, r"temperature = -0.001 K is outside \[0.0, 400.0\] K"),
        ("temperature", NAN, RangeError, r"temperature = nan K is outside"),
        ("temperature", float("inf"), RangeError, r"temperature = inf K is outside"),
        ("temperature", "hot", BadValueError, r"temperature = 'hot' is not a float64"),
        ("temperature", None, BadValueError, r"temperature = None"),
        ("turns", 3, NotAllowedError, r"turns is read-only"),
        ("heat", [1.0, 9.5, 2.0], RangeError, r"heat = 9.5 is outside \[0.0, 9.0\]"),
        ("heat", [1.0, -1.0], RangeError, r"heat = -1.0 is outside"),
        ("heat", [1.0, NAN], RangeError, r"heat = nan is outside"),
        ("heat", [1.0] * 5, RangeError, r"heat has the shape"),
    ],
)
def test_a_value_outside_its_limits_is_not_sent(name: str, value: Any, error: type[Exception], text: str) -> None:
    oven = Oven()
    with pytest.raises(error, match=text):
        asyncio.run(oven.put(name, value))
    assert oven.asked == [] and oven.attributes[name].setpoint is None


def test_a_value_equal_to_a_limit_is_sent_and_a_missing_limit_limits_nothing() -> None:
    async def scenario(oven: Oven) -> None:
        for mm in (-2.0, 10.0, -0.0):
            await oven.put("valve", mm)
        oven.valve.configure(limits=(None, 10.0))
        await oven.put("valve", -1e9)
        oven.valve.configure(limits=None)
        await oven.put("valve", 1e9)
        with pytest.raises(RangeError, match="valve = nan mm is not a number"):
            await oven.put("valve", NAN)
        await oven.put("heat", [])
        await oven.put("free", [[NAN, 1.0, 2.0]])
        assert oven.asked == [-2.0, 10.0, 0.0, -1e9, 1e9]

    asyncio.run(scenario(Oven()))


def test_the_hardware_not_answering_ends_a_put_in_time_even_when_it_will_not_be_cancelled(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert live_module.PUT_TIMEOUT == 2.5, "before a Tango client gives up at 3 s"
    monkeypatch.setattr(live_module, "PUT_TIMEOUT", 0.1)

    class Stubborn(Oven):
        async def write_valve(self, mm: float) -> None:
            while True:
                try:
                    await asyncio.sleep(0.5)
                    return
                except asyncio.CancelledError:
                    continue

    async def scenario() -> None:
        oven, stubborn = Oven(), Stubborn()
        oven.hook_answered.clear()
        for device, name in ((oven, "temperature"), (stubborn, "valve")):
            began = time.monotonic()
            with pytest.raises(TimeoutError, match=f"writing {name} did not end within 0.1 s"):
                await device.put(name, 5.0)
            assert 0.09 < time.monotonic() - began < 0.4
            assert device.attributes[name].setpoint is None and device.memory.values == {}

    asyncio.run(scenario())


@pytest.mark.parametrize("error", [RefusedError("NAK 3"), ConnectionResetError("gone"), ZeroDivisionError("a bug")])
def test_a_put_that_failed_changes_no_setpoint_memorizes_nothing_and_keeps_its_class(error: Exception) -> None:
    async def scenario(oven: Oven) -> None:
        await oven.put("temperature", 300.0)
        await oven.put("valve", 4.0)
        before = oven.temperature.setpoint, oven.valve.setpoint, dict(oven.memory.values)
        oven.error = error
        for name in ("temperature", "valve"):
            with pytest.raises(type(error), match=str(error)):
                await oven.put(name, 5.0)
        assert (oven.temperature.setpoint, oven.valve.setpoint, oven.memory.values) == before
        assert before[2] == {"temperature": 300.0, "valve": 4.0}

    asyncio.run(scenario(Oven()))


def test_a_hook_that_was_cancelled_from_within_is_an_error_of_the_put_and_not_of_the_caller() -> None:
    async def scenario(oven: Oven) -> None:
        oven.error = asyncio.CancelledError()
        with pytest.raises(AbortedError, match="writing valve was cancelled from within"):
            await oven.put("valve", 1.0)

    asyncio.run(scenario(Oven()))


def test_a_setting_of_the_device_itself_is_what_was_put() -> None:
    async def scenario(oven: Oven) -> None:
        listener = Listener(oven.lamp)
        await oven.put("lamp", 1)
        assert oven.lamp.value is True and oven.lamp.setpoint is not None and oven.lamp.setpoint.value is True
        assert listener.heard == [("lamp", True, Event.CHANGE | Event.ARCHIVE), ("lamp", True, Event.SETPOINT)]
        await oven.put("pin", "1234")
        assert oven.pin.setpoint is not None and oven.pin.setpoint.value == "1234"

    asyncio.run(scenario(Oven()))


# Setpoints --------------------------------------------------------------------------------------------------------


def test_a_read_back_that_lags_does_not_move_the_setpoint() -> None:
    async def scenario(oven: Oven) -> None:
        listener = Listener(oven.valve)
        oven.valve.publish_setpoint(3.0, timestamp=1_700_000_000.0)
        assert oven.valve.setpoint == Reading(3.0, 1_700_000_000.0)
        await oven.put("valve", 8.0)
        assert oven.valve.value == 4.0 and oven.valve.setpoint.value == 8.0
        oven.valve.publish(5.5)
        await oven.put("valve", 8.0)
        assert oven.valve.setpoint.value == 8.0
        assert listener.values(Event.SETPOINT) == [3.0, 8.0], "putting the same again is no news"

    asyncio.run(scenario(Oven()))


def test_a_change_at_the_front_panel_moves_the_reading_and_the_setpoint() -> None:
    async def scenario() -> None:
        async with running(Oven()) as oven:
            listener = Listener(oven.temperature)
            await until(lambda: oven.temperature.reading.value == 100.0)
            assert oven.temperature.setpoint is not None and oven.temperature.setpoint.value == 100.0
            await oven.put("temperature", 90.0)
            oven.register = 95.0
            await until(lambda: oven.temperature.setpoint.value == 95.0, "the front panel is followed")
            assert oven.temperature.value == 95.0
            assert listener.values(Event.SETPOINT)[-2:] == [90.0, 95.0]

    asyncio.run(scenario())


def test_the_setpoint_is_what_the_hardware_made_of_the_value_and_so_is_what_is_memorized() -> None:
    async def scenario(oven: Oven) -> None:
        await oven.put("temperature", 90.0321)
        assert oven.temperature.setpoint is not None and oven.temperature.setpoint.value == 90.0
        assert oven.memory.values == {"temperature": 90.0}

    asyncio.run(scenario(Oven()))


def test_a_poll_during_a_put_does_not_pass_for_its_answer() -> None:
    """The old value is read after the put was asked for and before the hardware took it."""

    async def scenario() -> None:
        async with running(Oven()) as oven:
            await until(lambda: oven.temperature.reading.value == 100.0)
            oven.reads_back = False
            oven.hook_answered.clear()
            put = asyncio.create_task(oven.put("temperature", 250.0))
            await oven.hook_asked.wait()
            asked = time.time()
            await until(lambda: oven.temperature.timestamp > asked, "a poll has published the old value")
            oven.slow_poll = True
            await oven.poll_asked.wait()
            oven.hook_answered.set()
            await put
            assert oven.temperature.setpoint is not None and oven.temperature.setpoint.value == 250.0

    asyncio.run(scenario())


@pytest.mark.parametrize("reads_back", [True, False])
def test_a_poll_that_was_answered_before_a_put_does_not_bring_the_old_setpoint_back(reads_back: bool) -> None:
    async def scenario() -> None:
        async with running(Oven()) as oven:
            oven.reads_back = reads_back
            await until(lambda: oven.temperature.reading.value == 100.0)
            listener = Listener(oven.temperature)
            oven.slow_poll = True
            await oven.poll_asked.wait()
            await oven.put("temperature", 250.0)
            oven.slow_poll = False
            published = oven.temperature.reading
            oven.poll_answered.set()
            await until(lambda: oven.temperature.reading is not published, "the late poll publishes")
            await until(lambda: oven.temperature.reading.value == 250.0)
            assert listener.values(Event.SETPOINT) == [250.0]
            oven.register = 120.0
            await until(lambda: oven.temperature.setpoint.value == 120.0, "the front panel is followed again")

    asyncio.run(scenario())


@pytest.mark.parametrize("ahead", [-3600.0, 3600.0])
def test_a_hardware_clock_that_is_wrong_does_not_stop_the_setpoint_from_following(ahead: float) -> None:
    class Clock(Oven):
        async def poll_register(self) -> None:
            self.temperature.publish(self.register, timestamp=time.time() + ahead)

        poll_register.__poll__ = 0.01  # type: ignore[attr-defined]

    async def scenario() -> None:
        async with running(Clock()) as oven:
            await until(lambda: oven.temperature.reading.value == 100.0)
            await oven.put("temperature", 90.0)
            oven.register = 95.0
            await until(lambda: oven.temperature.setpoint.value == 95.0)

    asyncio.run(scenario())


def test_an_old_reading_from_outside_a_poll_is_told_by_its_time() -> None:
    async def scenario(oven: Oven) -> None:
        before = time.time()
        await oven.put("temperature", 250.0)
        oven.temperature.publish(100.0, timestamp=before)
        assert oven.temperature.setpoint is not None and oven.temperature.setpoint.value == 250.0
        oven.temperature.publish(100.0)
        assert oven.temperature.setpoint.value == 100.0

    asyncio.run(scenario(Oven()))


@pytest.mark.filterwarnings("error")
def test_setpoints_of_spectra_are_compared_as_a_whole() -> None:
    async def scenario(oven: Oven) -> None:
        listener = Listener(oven.heat)
        for row in ([1.0, 2.0], [1.0, 2.0], [1.0, 2.0, 3.0], [], [4.0]):
            await oven.put("heat", row)
        assert [v.tolist() for v in listener.values(Event.SETPOINT)] == [[1.0, 2.0], [1.0, 2.0, 3.0], [], [4.0]]

    asyncio.run(scenario(Oven()))


# Threads ----------------------------------------------------------------------------------------------------------


def in_thread(function: Any, *args: Any, **kwargs: Any) -> None:
    thread = threading.Thread(target=function, args=args, kwargs=kwargs)
    thread.start()
    thread.join(5.0)


def test_what_another_thread_publishes_is_told_in_the_devices_loop(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        async with running(Oven()) as oven:
            listener = Listener(oven.turns, oven.heat, oven.valve, oven.state_attribute)
            frame = np.array([3.0, 1.0, 2.0])
            in_thread(oven.turns.publish, 42)
            in_thread(oven.heat.publish, frame)
            frame[:] = 0.0
            in_thread(oven.valve.publish_setpoint, 2.5)
            in_thread(oven.set_fault, "pump", "the pump is off")
            assert listener.heard == [], "not before the loop runs"
            await until(lambda: oven.state is DeviceState.FAULT)
            assert oven.turns.value == 42 and oven.heat.value.tolist() == [3.0, 1.0, 2.0]
            assert oven.valve.setpoint is not None and oven.valve.setpoint.value == 2.5
            in_thread(oven.turns.publish_invalid, "the counter is off")
            await until(lambda: oven.turns.quality is Quality.INVALID)
            assert "the pump is off" in oven.status
            assert listener.threads == {threading.get_ident()}

    with caplog.at_level(logging.ERROR):
        asyncio.run(scenario())
    assert caplog.records == []


def test_a_value_that_does_not_fit_is_refused_in_the_thread_that_published_it() -> None:
    async def scenario() -> None:
        async with running(Oven()) as oven:
            errors: list[Exception] = []

            def publish() -> None:
                try:
                    oven.turns.publish(0.5)  # type: ignore[arg-type]
                except BadValueError as error:
                    errors.append(error)

            in_thread(publish)
            assert len(errors) == 1 and "turns = 0.5 is not a whole number" in str(errors[0])

    asyncio.run(scenario())


def test_thousands_of_readings_from_two_threads_arrive_in_their_order() -> None:
    async def scenario() -> None:
        async with running(Oven()) as oven:
            listener = Listener(oven.valve)
            seen: list[float] = listener.values(Event.CHANGE)

            def publish(sign: int) -> None:
                for step in range(1, 2001):
                    oven.valve.publish(float(sign * step))

            threads = [threading.Thread(target=publish, args=(sign,)) for sign in (1, -1)]
            for thread in threads:
                thread.start()
            await until(lambda: len(listener.heard) == 4000)
            seen = listener.values(Event.CHANGE)
            assert [v for v in seen if v > 0] == [float(v) for v in range(1, 2001)]
            assert [v for v in seen if v < 0] == [-float(v) for v in range(1, 2001)]
            for thread in threads:
                thread.join()

    asyncio.run(scenario())


def test_a_reading_never_waits_for_the_loop() -> None:
    async def scenario() -> None:
        async with running(Oven()) as oven:
            await until(lambda: oven.temperature.reading.value == 100.0)
            seconds: list[float] = []

            def read() -> None:
                began = time.perf_counter()
                assert oven.temperature.value == 100.0 and oven.state is not None
                seconds.append(time.perf_counter() - began)

            thread = threading.Thread(target=read)
            thread.start()
            thread.join(5.0)  # the loop is blocked all the while
            assert seconds and seconds[0] < 1.0

    asyncio.run(scenario())
