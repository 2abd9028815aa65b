"""The Cryo-con driver against the simulated instrument, over TCP, UDP and a serial line."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import datetime
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from devices.core.errors import (
    BadValueError,
    InvalidReadingError,
    NotConnectedError,
    ProtocolError,
    RangeError,
    RefusedError,
    TimeoutError,
)
from devices.drivers.cryocon import CryoConDriver
from devices.drivers.cryocon_items import Query, Setting
from devices.drivers.cryocon_labels import AlarmState, AutotuneStatus, LoopType, OutputRange, RelayState, Source, Units
from devices.drivers.cryocon_models import MODELS, model_named, parse_identity
from devices.drivers.cryocon_protocol import (
    MESSAGE_LIMIT,
    Answer,
    Why,
    answer,
    choice,
    pack,
    parse_number,
    short,
    split_answers,
    string,
    switch,
)
from devices.drivers.cryocon_subsystems import Loop
from devices.drivers.cryocon_tables import CalibrationCurve, PidEntry, PidTable, parse_log
from devices.simulators.cryocon import CryoConSimulator

Bench = tuple[CryoConSimulator, CryoConDriver]


@asynccontextmanager
async def instrument(
    model: str = "24C", *, speed: float = 1.0, timeout: float = 2.0, spacing: float = 0.0
) -> AsyncIterator[Bench]:
    """A running simulator and a driver that is connected to it."""
    async with CryoConSimulator(model, speed=speed) as simulator:
        driver = CryoConDriver(simulator.url, timeout=timeout, spacing=spacing)
        await driver.connect()
        try:
            yield simulator, driver
        finally:
            await driver.close()


async def until(condition: Callable[[], Any], seconds: float = 5.0) -> None:
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.005)


def lines(simulator: CryoConSimulator) -> list[str]:
    return [text for _, text in simulator.messages]


# --- the text ---


@given(st.floats(-1e30, 1e30), st.sampled_from(["", "K", "C", "%", "V", " A", " Ohm"]))
def test_a_number_may_carry_a_unit(value: float, unit: str) -> None:
    assert parse_number(f"{value!r}{unit}") == value


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (".......", Why.OUT_OF_RANGE),
        ("....", Why.OUT_OF_RANGE),
        ("-------", Why.SENSOR_FAULT),
        ("N/A", Why.NOT_APPLICABLE),
        ("n/a", Why.NOT_APPLICABLE),
        ("NACK", Why.REFUSED),
        ("", Why.MALFORMED),
        (".", Why.MALFORMED),
        ("-", Why.MALFORMED),
        ("1.2.3", Why.MALFORMED),
        ("nan", Why.MALFORMED),
        ("1e999", Why.MALFORMED),
        ("77.3 K extra", Why.MALFORMED),
    ],
)
def test_what_is_no_number_says_why(text: str, why: Why) -> None:
    result = answer("INPut A:TEMPerature", text, parse_number)
    assert (result.value, result.why_not) == (None, why)
    with pytest.raises((InvalidReadingError, RefusedError, ProtocolError), match="INPut A:TEMPerature = "):
        result.get()


@given(st.text(max_size=30))
def test_no_answer_whatever_breaks_the_parsers(text: str) -> None:
    for parse in (parse_number, choice(LoopType).parse, switch().parse, string().parse):
        result: Answer[Any] = answer("x", text, parse)
        assert result.valid == (result.why_not is None)
        if isinstance(result.value, float):
            assert math.isfinite(result.value)


def test_a_label_may_be_spelled_longer_and_in_any_case() -> None:
    assert choice(LoopType).parse("Pid") is LoopType.PID
    assert choice(LoopType).parse("MANUAL") is LoopType.MAN
    assert choice(LoopType).parse("RAMPT") is LoopType.RAMPT
    assert choice(OutputRange).parse("High") is OutputRange.HI
    assert choice(LoopType).parse("P") is Why.MALFORMED
    assert choice(AlarmState).parse("--") is AlarmState.NONE
    assert choice(Source).parse("CHA") is Why.MALFORMED, "a letter is never taken for a longer word"


@pytest.mark.parametrize("spelled", ["B", "b", "CHB", "ChB"])
def test_a_source_may_be_a_letter_or_a_channel(spelled: str) -> None:
    found = answer("LOOP 1:SOURce", spelled, Loop.source.parse)
    assert found.get() is Source.B


@given(st.lists(st.text(alphabet='ab;: ."', max_size=8), min_size=1, max_size=6))
def test_an_answer_in_quotes_may_hold_the_separator(texts: list[str]) -> None:
    quoted = [f'"{text.replace(chr(34), "")}"' for text in texts]
    assert split_answers(";".join(quoted)) == quoted
    plain = [text.replace('"', "").replace(";", "").strip() for text in texts]
    assert split_answers(";".join(plain)) == plain


class Asked:
    def __init__(self, subsystem: str, text: str) -> None:
        self.subsystem, self.text = subsystem, text


@given(
    st.lists(
        st.tuples(st.sampled_from(["LOOP 1", "INP A", "", "LOOP 1:AUT"]), st.sampled_from(["SETP?", "ALAR:HIGH?"]))
    )
)
def test_questions_share_lines_in_order_and_within_the_limit(pairs: list[tuple[str, str]]) -> None:
    questions = [Asked(*pair) for pair in pairs]
    packed = pack(questions, limit=60)
    assert [asked for _, some in packed for asked in some] == questions
    assert all(len(line) <= 60 and line.count("?") == len(some) for line, some in packed)


def test_a_semicolon_goes_on_in_the_subsystem_and_a_colon_leaves_it() -> None:
    questions = [
        Asked("LOOP 1", "SETP?"), Asked("LOOP 1", "TYP?"), Asked("LOOP 2", "TYP?"), Asked("INP A", "ALAR:HIGH?"),
        Asked("INP A", "TEMP?"), Asked("INP A", "UNIT?"), Asked("", "CONT?"), Asked("LOOP 1:AUT", "STAT?"),
        Asked("LOOP 1:AUT", "MOD?"),
    ]  # fmt: skip
    ((line, _),) = pack(questions)
    assert line == (
        "LOOP 1:SETP?;TYP?;:LOOP 2:TYP?;:INP A:ALAR:HIGH?;:INP A:TEMP?;UNIT?;:CONT?;:LOOP 1:AUT:STAT?;:LOOP 1:AUT:MOD?"
    )


def test_keywords_are_abbreviated_to_their_capitals() -> None:
    assert short("LOOP 1:AUTotune:PGAin") == "LOOP 1:AUT:PGA"
    assert short("*OPC") == "*OPC"


def test_the_model_is_known_by_its_identification() -> None:
    assert parse_identity("Cryo-con,24C,204683,1.01A").model == "24C"
    assert parse_identity("Cryocon,Model 18i,7,3.18A").model == "18i"
    assert model_named("22c").inputs == ("A", "B")
    for text in ("LSCI,MODEL350,LSA1234,1.5", "HTTP/1.1 400 Bad Request", ""):
        with pytest.raises(ProtocolError, match="is not Cryo-con,MODEL,SERIAL,FIRMWARE"):
            parse_identity(text)
    with pytest.raises(ProtocolError, match="'62' is none of 18i, 22C, 24C, 24"):
        model_named("62")


# --- all models, all links ---


@pytest.mark.parametrize(("model", "most_lines"), [("18i", 1), ("22C", 1), ("24", 1), ("24C", 2)])
def test_a_poll_of_any_model_takes_the_fewest_lines(model: str, most_lines: int) -> None:
    async def main() -> None:
        async with instrument(model) as (simulator, driver):
            simulator.open_sensor("b")
            await until(lambda: simulator.instrument.temperature_text("B") == "-------")
            simulator.messages.clear()
            snapshot = await driver.poll()
            assert len(simulator.messages) == most_lines
            assert all(len(line) <= MESSAGE_LIMIT for line in lines(simulator))
            assert tuple(snapshot.inputs) == MODELS[model].inputs
            assert tuple(snapshot.loops) == tuple(MODELS[model].loops)
            assert snapshot.inputs["A"].temperature.get() == pytest.approx(80.0, abs=1.0)
            assert snapshot.inputs["A"].units.value is Units.K
            assert snapshot.inputs["B"].temperature.why_not is Why.SENSOR_FAULT
            assert snapshot.inputs["B"].alarm.value is AlarmState.NONE
            assert (snapshot.control is None) is (model == "18i")
            if driver.loops:
                loop = snapshot.loops[1]
                assert (loop.setpoint.value, loop.type.value, loop.range.value) == (80.0, LoopType.PID, OutputRange.MID)
                assert loop.ramping.value is False

    asyncio.run(main())


@pytest.mark.parametrize("way", ["tcp", "udp", "pty", "socket"])
def test_every_link_carries_reads_and_writes(way: str) -> None:
    async def main() -> None:
        simulator = CryoConSimulator("22C")
        await simulator.start(udp_port=0)
        urls = {
            "tcp": simulator.url,
            "udp": f"udp://127.0.0.1:{simulator.udp_port}",
            "pty": f"serial://{await simulator.open_pty()}?baudrate=19200",
            "socket": simulator.url.replace("tcp:", "socket:"),
        }
        driver = CryoConDriver(urls[way], spacing=0.0)
        assert (await driver.connect()).model == "22C"
        assert await driver.loops[1].setpoint.write(77.5) == 77.5
        assert simulator.instrument.settings.loops[1].setpoint == 77.5
        assert (await driver.poll()).loops[1].setpoint.value == 77.5
        assert await driver.inputs["B"].name.write("Cold plate 2") == "Cold plate 2"
        with pytest.raises(RefusedError):
            await driver.command("LOOP 9:TYP PID")
        if way == "udp":
            with pytest.raises(BadValueError, match="UDP carries one"):
                await driver.read_pid_table(1)
        else:
            assert (await driver.read_pid_table(1)).name == "PID Table 1"
        await driver.close()
        await simulator.stop()

    asyncio.run(main())


def everything(driver: CryoConDriver) -> list[Query[Any]]:
    """Every question that the driver has for this model."""
    groups: list[Any] = [
        *driver.inputs.values(), *driver.loops.values(), *(loop.autotune for loop in driver.loops.values()),
        *driver.relays.values(), driver.system, driver.overtemperature, driver.statistics, driver.data_log,
        driver.network, driver.mail("A"), driver.configuration(2), driver.sensor(61),
        *(driver.pid_table_header(index) for index in driver.model.pid_tables),
    ]  # fmt: skip
    return [item for group in groups for _, item in group.queries()]


@pytest.mark.parametrize("model", list(MODELS))
def test_every_question_is_understood_and_every_setting_can_be_written_back(model: str) -> None:
    async def main() -> None:
        async with instrument(model) as (_, driver):
            queries = everything(driver)
            answers = await driver.answers(*queries)
            bad = [str(a) for a in answers if a.why_not not in (None, Why.NOT_APPLICABLE)]
            assert bad == []
            written = 0
            for item, found in zip(queries, answers, strict=True):
                if isinstance(item, Setting) and found.valid and "TIMe" not in item.name:
                    assert await item.write(found.value) == found.value
                    written += 1
            assert written > 100

    asyncio.run(main())


def test_the_things_that_do_not_fit_a_poll_are_there_too() -> None:
    async def main() -> None:
        async with instrument(speed=100.0) as (simulator, driver):
            a, loop = driver.inputs["A"], driver.loops[1]
            await a.alarm_highest.write(50.0)
            await a.alarm_high_enabled.write(True)
            await until(lambda: simulator.instrument.inputs["A"].alarm == "HI")
            assert await a.alarm.read() is AlarmState.HIGH
            await a.alarm_latched.write(True)
            await a.alarm_high_enabled.write(False)
            await a.clear_alarm()
            await until(lambda: simulator.instrument.inputs["A"].alarm == "--")
            await driver.statistics.reset()
            assert await driver.statistics.minutes.read() < 5.0
            assert await driver.control_on() is True
            assert await driver.control.read() is True
            assert await loop.type.write(LoopType.MAN) is LoopType.MAN
            assert await loop.manual_power.write(40.0) == 40.0
            await until(lambda: simulator.instrument.loops[1].output == 40.0)
            volts, amperes, ohms = [
                a.get() for a in await driver.answers(loop.voltage, loop.current, loop.load_resistance)
            ]
            assert volts * amperes == pytest.approx(0.4 * 5.0, rel=1e-3)
            assert volts / amperes == pytest.approx(ohms, rel=1e-3)
            relay = driver.relays[2]
            await driver.command("REL 2:MOD ON")
            await until(lambda: simulator.instrument.relays[2].state == "ON")
            assert await relay.state.read() is RelayState.ON
            await driver.system.date.write(datetime(2030, 12, 31))
            assert (await driver.system.date.read()).date() == datetime(2030, 12, 31).date()
            await driver.system.beep(2)
            await driver.configuration(3).save()
            await loop.setpoint.write(33.0)
            await driver.configuration(3).restore()
            assert await loop.setpoint.read() == 80.0
            await loop.setpoint.write(34.0)
            await driver.system.save()
            await driver.reset()
            assert await loop.setpoint.read() == 34.0
            assert (await driver.query("INP? A,B")).count(";") == 1
            assert await driver.control_off() is False

    asyncio.run(main())


def test_the_interlock_wins_over_control_on() -> None:
    async def main() -> None:
        async with instrument(speed=20.0) as (simulator, driver):
            await driver.overtemperature.temperature.write(60.0)
            await driver.overtemperature.enabled.write(True)
            await driver.control_on()
            await until(lambda: not simulator.instrument.settings.control)
            assert (await driver.poll()).control == Answer("CONTrol", False, None, "OFF")

    asyncio.run(main())


def test_tuning_runs_to_its_end_over_the_wire() -> None:
    async def main() -> None:
        async with instrument(speed=1000.0) as (_, driver):
            tuning = driver.loops[1].autotune
            await driver.control_on()
            await tuning.delta_power.write(10.0)
            await tuning.start()
            assert await tuning.p_gain.read() == -1.0
            async with asyncio.timeout(20.0):
                while (status := await tuning.status.read()) is AutotuneStatus.RUNNING:  # noqa: ASYNC110
                    await asyncio.sleep(0.02)
            assert status is AutotuneStatus.COMPLETE
            p_gain = await tuning.p_gain.read()
            assert p_gain > 1.0
            await tuning.save()
            assert await driver.loops[1].p_gain.read() == pytest.approx(p_gain)

    asyncio.run(main())


# --- refusals ---


def test_a_refusal_names_the_command_and_changes_nothing() -> None:
    async def main() -> None:
        async with instrument("22C") as (_, driver):
            await driver.loops[1].max_setpoint.write(100.0)
            with pytest.raises(RefusedError, match=r"127\.0\.0\.1:\d+: LOOP 1:SETPt 120 was refused \(NACK\)"):
                await driver.loops[1].setpoint.write(120.0)
            assert await driver.loops[1].setpoint.read() == 80.0
            with pytest.raises(RefusedError, match="LOOP 1:AUTotune:STARt"):
                await driver.loops[1].autotune.start()
            with pytest.raises(RefusedError, match="input C:units K"):
                await driver.command("input C:units K")
            with pytest.raises(RefusedError, match="BOGUS"):
                await driver.query("BOGUS?")
            assert await driver.loops[3].range.read() is OutputRange.V_10
            with pytest.raises(RefusedError, match="LOOP 3:RANGe HI"):
                await driver.loops[3].range.write(OutputRange.HI)

    asyncio.run(main())


def test_one_refused_question_spoils_no_other() -> None:
    async def main() -> None:
        async with instrument() as (_, driver):
            unknown = Query(driver, "LOOP 1", "FUTUre", parse_number)
            before, refused, after = await driver.answers(driver.loops[1].p_gain, unknown, driver.loops[1].i_gain)
            assert (before.value, refused.why_not, after.value) == (5.0, Why.REFUSED, 60.0)
            with pytest.raises(RefusedError, match="LOOP 1:FUTUre"):
                await unknown.read()

    asyncio.run(main())


def test_a_line_that_is_refused_as_a_whole_is_asked_question_by_question() -> None:
    async def main() -> None:
        async with instrument() as (simulator, driver):
            simulator.garbage(b"NACK\r\n")
            gains = await driver.answers(driver.loops[1].p_gain, driver.loops[1].i_gain)
            assert [gain.value for gain in gains] == [5.0, 60.0]
            assert lines(simulator)[-3:] == ["LOOP 1:PGA?;IGA?", "LOOP 1:PGA?", "LOOP 1:IGA?"]

    asyncio.run(main())


def test_a_poll_may_leave_inputs_and_loops_out_but_knows_all_units() -> None:
    async def main() -> None:
        async with instrument() as (simulator, driver):
            await driver.inputs["B"].units.write(Units.C)
            simulator.messages.clear()
            snapshot = await driver.poll(inputs=["A", "D"], loops=[2])
            assert (list(snapshot.inputs), list(snapshot.loops)) == (["A", "D"], [2])
            assert {letter: units.value for letter, units in snapshot.units.items()} == {
                "A": "K", "B": "C", "C": "K", "D": "K",
            }  # fmt: skip
            assert snapshot.loops[2].source.value is Source.B
            assert not any("LOOP 1" in line or "INP B:TEMP" in line for line in lines(simulator))

    asyncio.run(main())


def test_an_impossible_value_is_never_sent() -> None:
    async def main() -> None:
        async with instrument() as (simulator, driver):
            simulator.messages.clear()
            loop, a = driver.loops[1], driver.inputs["A"]
            for write, error, text in (
                (loop.manual_power.write(100.5), RangeError, r"LOOP 1:PMANual = 100.5 % is outside \[0, 100\] %"),
                (loop.setpoint.write(math.nan), RangeError, "LOOP 1:SETPt = nan"),
                (loop.setpoint.write(math.inf), RangeError, "LOOP 1:SETPt = inf"),
                (loop.load.write(33), RangeError, "LOOP 1:LOAD = 33 is outside 25, 50"),
                (a.name.write("0123456789abcdef"), RangeError, "has 16 characters, more than 15"),
                (a.name.write('a";*RST'), BadValueError, "without quotes"),
                (a.name.write("grün"), BadValueError, "printable ASCII"),
                (a.units.write("X"), BadValueError, "none of K, C, F, S"),  # type: ignore[arg-type]
                (a.sensor.write(69), RangeError, r"INPut A:SENSor = 69 is outside \[0, 68\]"),
                (driver.query("INP? A\n*RST"), BadValueError, "not one line"),
                (driver.query("x" * 300), RangeError, "300 characters, more than 255"),
                (driver.read_curve(9), RangeError, r"curve = 9 is outside \[1, 8\]"),
            ):
                with pytest.raises(error, match=text):
                    await write
            for wrong in (lambda: driver.sensor(69), lambda: driver.mail("E"), lambda: driver.configuration(0)):
                with pytest.raises(RangeError):
                    wrong()
            assert lines(simulator) == []

    asyncio.run(main())


def test_a_broken_sensor_is_an_error_and_never_a_number() -> None:
    async def main() -> None:
        async with instrument() as (simulator, driver):
            for fault, why in ((simulator.open_sensor, "sensor fault"), (simulator.leave_curve, "calibration curve")):
                fault("A")
                await until(lambda: simulator.instrument.inputs["A"].measured is None)
                with pytest.raises(InvalidReadingError, match=why):
                    await driver.inputs["A"].temperature.read()
                fault("A", False)

    asyncio.run(main())


# --- the discipline of the line ---


def test_messages_are_a_tenth_of_a_second_apart() -> None:
    async def main() -> None:
        async with instrument(spacing=0.1) as (simulator, driver):
            await asyncio.gather(driver.poll(), driver.loops[1].setpoint.write(70.0), driver.inputs["A"].name.read())
            times = [when for when, _ in simulator.messages]
            assert len(times) == 1 + 4
            assert all(later - earlier >= 0.1 for earlier, later in pairwise(times))

    asyncio.run(main())


def test_puts_go_ahead_of_polls_that_wait() -> None:
    async def main() -> None:
        async with instrument(spacing=0.01) as (simulator, driver):
            simulator.delay(0.4)
            first = asyncio.create_task(driver.inputs["D"].units.read())
            await until(lambda: lines(simulator)[-1] == "INP D:UNIT?")
            polls = [asyncio.create_task(driver.poll()) for _ in range(3)]
            query = asyncio.create_task(driver.system.name.read())
            await asyncio.sleep(0.01)
            put = asyncio.create_task(driver.loops[1].setpoint.write(66.0))
            await asyncio.sleep(0.01)
            simulator.delay(0.0)  # of the answers that come behind the one that they wait for
            await asyncio.gather(first, query, put, *polls)
            order = lines(simulator)[lines(simulator).index("INP D:UNIT?") + 1 :]
            assert order[0].startswith("LOOP 1:SETP 66")
            assert order[1] == "SYST:NAM?"
            assert [line[:5] for line in order[2:]].count("CONT?") == 3

    asyncio.run(main())


def test_a_client_that_puts_all_the_time_does_not_silence_the_polls() -> None:
    async def main() -> None:
        async with instrument(spacing=0.005) as (simulator, driver):

            async def put_for_ever() -> None:
                while True:
                    await driver.loops[1].setpoint.write(66.0)

            putting = [asyncio.create_task(put_for_ever()) for _ in range(3)]
            for _ in range(5):
                await asyncio.wait_for(driver.poll(), 2.0)
            for task in putting:
                task.cancel()
            kinds = ["put" if line.startswith("LOOP 1:SETP 66") else "poll" for line in lines(simulator)[1:]]
            assert kinds.count("poll") == 10
            first, last = kinds.index("poll"), len(kinds) - 1 - kinds[::-1].index("poll")
            # A poll that has just got its first line asks the second at once: the two alternate with puts.
            assert all("put" in pair for pair in pairwise(kinds[first : last + 1]))

    asyncio.run(main())


def test_a_put_slips_between_the_lines_of_one_poll() -> None:
    async def main() -> None:
        async with instrument(spacing=0.02) as (simulator, driver):
            simulator.messages.clear()
            poll = asyncio.create_task(driver.poll())
            await until(lambda: len(simulator.messages) == 1)
            await driver.loops[1].setpoint.write(66.0)
            assert (await poll).loops[1].setpoint.value in (80.0, 66.0)
            assert lines(simulator)[1].startswith("LOOP 1:SETP 66")
            assert len(simulator.messages) == 3

    asyncio.run(main())


def test_a_caller_who_gives_up_leaves_no_answer_behind() -> None:
    async def main() -> None:
        async with instrument() as (simulator, driver):
            simulator.delay(0.1)
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(driver.inputs["A"].name.read(), 0.03)
            assert await driver.inputs["B"].name.read() == "Channel B"
            assert [line for line in lines(simulator)[1:] if "IDN" in line] == []

    asyncio.run(main())


@pytest.mark.parametrize("way", ["tcp", "udp", "pty"])
def test_a_late_reply_never_answers_the_next_question(way: str) -> None:
    async def main() -> None:
        simulator = CryoConSimulator("24C")
        await simulator.start(udp_port=0)
        url = {"tcp": simulator.url, "udp": f"udp://127.0.0.1:{simulator.udp_port}"}.get(way)
        driver = CryoConDriver(url or await simulator.open_pty(), timeout=0.4, spacing=0.0)
        await driver.connect()
        simulator.delay(0.5)
        with pytest.raises(TimeoutError, match=r"no answer within 0\.4 s after b'INP A:NAM\?"):
            await driver.inputs["A"].name.read()
        simulator.delay(0.0)
        for letter in "BCD":
            assert await driver.inputs[letter].name.read() == f"Channel {letter}"
        await driver.close()
        await simulator.stop()

    asyncio.run(main())


def test_a_line_that_nobody_asked_for_answers_nothing() -> None:
    async def main() -> None:
        async with instrument() as (simulator, driver):
            simulator.chatter(b"Channel Z\r\n")
            await asyncio.sleep(0.05)
            assert await driver.inputs["A"].name.read() == "Channel A"

    asyncio.run(main())


def test_a_dead_instrument_ends_the_link_and_a_new_one_works() -> None:
    async def main() -> None:
        async with instrument(timeout=0.3) as (simulator, driver):
            simulator.mute()
            with pytest.raises(TimeoutError):
                await driver.poll()
            assert driver.connected
            with pytest.raises(NotConnectedError, match="no answer after a lost reply"):
                await driver.poll()
            assert not driver.connected
            with pytest.raises(NotConnectedError, match="not connected"):
                await driver.poll()
            with pytest.raises(TimeoutError):
                await driver.connect()
            simulator.mute(False)
            await driver.connect()
            assert (await driver.poll()).inputs["A"].temperature.valid

    asyncio.run(main())


def test_a_lost_connection_fails_whoever_waits() -> None:
    async def main() -> None:
        async with instrument() as (simulator, driver):
            simulator.delay(1.0)
            waiting = [asyncio.create_task(driver.poll()) for _ in range(3)]
            await until(lambda: "CONT?" in lines(simulator)[-1])
            simulator.drop_connections()
            for failure in await asyncio.gather(*waiting, return_exceptions=True):
                assert isinstance(failure, NotConnectedError)
            simulator.delay(0.0)
            await driver.connect()
            await driver.poll()
            waiting = [asyncio.create_task(driver.poll()) for _ in range(3)]
            await asyncio.sleep(0)
            await driver.close()
            for failure in await asyncio.gather(*waiting, return_exceptions=True):
                assert isinstance(failure, NotConnectedError)

    asyncio.run(main())


@settings(max_examples=10, deadline=None)
@given(st.lists(st.binary(max_size=60), min_size=1, max_size=3))
def test_garbage_gives_an_error_or_nothing_and_then_the_truth(rubbish: list[bytes]) -> None:
    async def main() -> None:
        async with instrument("22C", timeout=0.1) as (simulator, driver):

            async def gains() -> list[float | None]:
                if not driver.connected:
                    await driver.connect()
                loop = driver.loops[1]
                return [found.value for found in await driver.answers(loop.p_gain, loop.i_gain)]

            for data in rubbish:
                simulator.garbage(data)
                with suppress(ProtocolError, RefusedError, TimeoutError, NotConnectedError):
                    await gains()
            simulator.garbage_over()
            found: list[float | None] = []
            async with asyncio.timeout(10.0):
                while not found:
                    with suppress(TimeoutError, NotConnectedError):
                        found = await gains()
            assert found == [5.0, 60.0]

    asyncio.run(main())


def test_a_stranger_on_the_port_is_not_taken_for_a_cryocon() -> None:
    async def main() -> None:
        async def stranger(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readline()
            writer.write(b"Cryo-con,62,1,2.0\r\n")
            await reader.read()
            writer.close()

        server = await asyncio.start_server(stranger, "127.0.0.1", 0)
        url = f"tcp://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        driver = CryoConDriver(url, timeout=1.0)
        with pytest.raises(NotConnectedError, match="not connected yet"):
            await driver.poll()
        with pytest.raises(ProtocolError, match=f"{url}: model = '62' is none of"):
            await driver.connect()
        assert not driver.connected
        taken_for = CryoConDriver(url, timeout=1.0, model="24C")
        assert (await taken_for.connect()).model == "62"
        assert taken_for.model.name == "24C"
        await taken_for.close()
        server.close()

    asyncio.run(main())


# --- curves, tables, log ---

CURVE = CalibrationCurve("Test diode", "Diode", -1.0, "Volts", ((1.2, 4.0), (0.52, 300.0), (1.07, 30.5)))


def test_a_curve_goes_there_and_back() -> None:
    async def main() -> None:
        async with instrument(speed=100.0) as (simulator, driver):
            await driver.write_curve(3, CURVE, store=0.15)  # the simulator needs 5 s of its own time
            assert (await driver.read_curve(3)).points == ((0.52, 300.0), (1.07, 30.5), (1.2, 4.0))
            assert await driver.sensor(63).name.read() == "Test diode"
            assert await driver.sensor(63).points.read() == 3
            assert await driver.inputs["A"].sensor.write(63) == 63
            strange = CalibrationCurve("Odd", "X9", 1.0, "Ohms", ((1.0, 2.0), (2.0, 3.0)))
            with pytest.raises(ProtocolError, match="curve 3 differs from the curve 'Odd 2' that was sent"):
                simulator.speed = 0.001  # it never gets to storing this one
                await driver.write_curve(3, CalibrationCurve("Odd 2", "X9", 1.0, "Ohms", strange.points), store=0.01)

    asyncio.run(main())


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(st.floats(-1e4, 1e4), st.floats(0.0, 1500.0)),
        min_size=2,
        max_size=200,
        unique_by=lambda point: point[0],
    )
)
def test_a_curve_survives_the_seven_digits_of_the_file_format(points: list[tuple[float, float]]) -> None:
    curve = CalibrationCurve("c", "ACR", -1.0, "Logohm", tuple(points))
    assert len(curve.lines()) == 4 + len(points)
    again = CalibrationCurve.parse(curve.lines())
    assert [reading for reading, _ in again.points] == pytest.approx([reading for reading, _ in curve.points], rel=1e-6)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"units": "mV"}, "none of Volts, Ohms, Logohm"),
        ({"points": ((1.0, 2.0),)}, r"1 points, outside \[2, 200\]"),
        ({"points": ((1.0, math.nan), (2.0, 3.0))}, "not finite"),
        ({"points": ((1.0, -4.0), (2.0, 3.0))}, "below 0 K"),
        ({"multiplier": 0.0}, "other than 0"),
        ({"name": "a;b"}, "name = 'a;b'"),
    ],
)
def test_a_curve_that_cannot_be_is_refused_here(change: dict[str, Any], text: str) -> None:
    with pytest.raises(BadValueError, match=text):
        CalibrationCurve(**{**vars(CURVE), **change})


def test_a_pid_table_goes_there_and_back() -> None:
    table = PidTable(
        "Cool down", (PidEntry(200.0, 1.5, 90.0, 2.0, "HI"), PidEntry(77.25, 4.0, 45.0, 0.0, "MID", source="B"))
    )

    async def main() -> None:
        async with instrument() as (_, driver):
            assert await driver.write_pid_table(4, table) == table
            header = driver.pid_table_header(4)
            assert (await header.name.read(), await header.entries.read()) == ("Cool down", 2)

    asyncio.run(main())


def test_the_data_log_is_read_whole() -> None:
    async def main() -> None:
        async with instrument("18i", speed=200.0) as (simulator, driver):
            simulator.open_sensor("h")
            await driver.data_log.interval.write(1.0)
            await driver.data_log.enabled.write(True)
            await until(lambda: len(simulator.instrument.log) > 30)
            await driver.data_log.enabled.write(False)
            records = await driver.read_log()
            assert [record.number for record in records] == list(range(1, len(records) + 1))
            assert len(records) == await driver.data_log.count.read()
            assert (records[20].time - records[0].time).total_seconds() == pytest.approx(20.0, abs=1.0)
            assert records[-1].temperatures[7].why_not is Why.SENSOR_FAULT
            assert records[-1].temperatures[3].get() == pytest.approx(290.0, abs=0.1)

    asyncio.run(main())


def test_a_wrong_block_is_a_protocol_error() -> None:
    for parse, block in (
        (parse_log, ["1, 13/45/2026, 1,2,3, 4"]),
        (CalibrationCurve.parse, ["only", "three", "lines"]),
        (PidTable.parse, ["name", "1 2 3"]),
    ):
        with pytest.raises(ProtocolError, match="no "):
            parse(block)  # type: ignore[operator]


@given(st.lists(st.text(max_size=20), max_size=6))
def test_no_block_whatever_breaks_the_readers(block: list[str]) -> None:
    for parse in (parse_log, CalibrationCurve.parse, PidTable.parse):
        with suppress(ProtocolError):
            parse(block)  # type: ignore[operator]
