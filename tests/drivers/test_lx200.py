"""The LX200 protocol: its texts, and the driver on a simulated mount over TCP and a serial line."""

from __future__ import annotations

import asyncio
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices.core.errors import BadValueError, NotConnectedError, ProtocolError, RefusedError, TimeoutError
from devices.drivers.lx200 import Lx200
from devices.drivers.lx200_text import format_degrees, format_hours, parse_degrees, parse_hours
from devices.pipelines.ccd.sky_place import of_date, place_at, separation_deg
from devices.simulators.lx200 import Lx200Simulator
from tests.support.running import until


@pytest.mark.parametrize(
    ("text", "hours"),
    [
        ("05:35:17", 5.5880556),
        ("05:35.3", 5.5883333),
        (" 5:35:17 ", 5.5880556),
        ("23:59:59", 23.9997222),
        ("00:00.0", 0.0),
        ("06:45:08.9", 6.7524722),
    ],
)
def test_hours_are_read_with_seconds_or_tenths_of_minutes(text: str, hours: float) -> None:
    assert parse_hours(text) == pytest.approx(hours, abs=1e-6)


@pytest.mark.parametrize(
    ("text", "degrees"),
    [
        ("-05*23'28", -5.3911111),
        ("-05\xdf23'28", -5.3911111),
        ("+89:15:51", 89.2641667),
        ("+32*26", 32.4333333),
        ("-00*00'30", -0.0083333),
        ("180*00'00", 180.0),
        ("05*23’28", 5.3911111),
    ],
)
def test_degrees_are_read_with_any_sign_of_the_trade(text: str, degrees: float) -> None:
    assert parse_degrees(text) == pytest.approx(degrees, abs=1e-6)


@pytest.mark.parametrize("text", ["", "5", "24:00:00", "05:60:00", "05:35:60", "05-35-17", "99:00.0", "+05:35:17", "x"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(ProtocolError):
        parse_hours(text)


@pytest.mark.parametrize("text", ["", "+5", "+05*60", "+05*00'60", "+361*00'00", "05:35.3", "--5*00", "5.5", "LX2001"])
def test_what_is_no_angle_is_refused(text: str) -> None:
    with pytest.raises(ProtocolError):
        parse_degrees(text)


@given(st.floats(0.0, 24.0))
def test_a_right_ascension_comes_back_within_half_a_unit(hours: float) -> None:
    for precise, unit in ((True, 1.0 / 3600.0), (False, 0.1 / 60.0)):
        back = parse_hours(format_hours(hours, precise=precise))
        assert abs((back - hours + 12.0) % 24.0 - 12.0) <= unit / 2.0 + 1e-9


@given(st.floats(-90.0, 90.0), st.sampled_from(["'", ":"]))
def test_a_declination_comes_back_within_half_a_unit(degrees: float, minute: str) -> None:
    for precise, unit in ((True, 1.0 / 3600.0), (False, 1.0 / 60.0)):
        text = format_degrees(degrees, precise=precise, minute=minute)
        assert text[0] in "+-"
        assert abs(parse_degrees(text) - degrees) <= unit / 2.0 + 1e-9


@given(st.text(max_size=12))
def test_no_text_does_more_than_be_refused(text: str) -> None:
    for parse, limit in ((parse_hours, 24.0), (parse_degrees, 360.0)):
        try:
            assert abs(parse(text)) <= limit
        except ProtocolError:
            continue


@pytest.mark.parametrize("hours", [-0.1, 24.1, float("nan")])
def test_a_right_ascension_beyond_24_h_is_not_sent(hours: float) -> None:
    with pytest.raises(BadValueError, match="right ascension"):
        format_hours(hours)


def test_minutes_are_never_60() -> None:
    assert format_hours(23.99999) == "00:00:00"
    assert format_hours(9.99999, precise=False) == "10:00.0"
    assert format_degrees(-9.99999) == "-10*00'00"
    assert format_degrees(59.9999, precise=False) == "+60*00"


def quick() -> Lx200Simulator:
    return Lx200Simulator(rate=400.0, acceleration=4000.0)


def test_the_driver_goes_where_it_is_sent_and_reads_where_it_is() -> None:
    async def work() -> None:
        async with quick() as simulator:
            driver = Lx200(simulator.url)
            assert await driver.connect() == "LX2001 4.2g"
            assert "U" in simulator.messages  # it told minutes before
            hours, degrees = of_date(*place_at(simulator.mount.site, 110.0, 40.0, time.time()), time.time())
            await driver.slew(hours, degrees)
            assert await driver.is_slewing()
            deadline = time.monotonic() + 10.0
            while await driver.is_slewing():
                assert time.monotonic() < deadline
            there = await driver.right_ascension(), await driver.declination()
            # A second of time is 15 arcsec.
            assert separation_deg(there, (hours, degrees)) * 3600.0 < 15.0
            assert simulator.mount.horizontal == pytest.approx((110.0, 40.0), abs=0.05)
            assert await driver.alignment() == "alt-azimuth"
            await driver.track(False)
            assert await driver.alignment() == "land"
            assert 0.0 <= await driver.sidereal_time() < 24.0
            await driver.close()

    asyncio.run(work())


def test_a_mount_that_does_not_know_what_it_is_is_taken_all_the_same() -> None:
    async def work() -> None:
        async with Lx200Simulator(product="") as simulator:
            driver = Lx200(simulator.url, timeout=0.3)
            assert await driver.connect() == "LX200"
            assert 0.0 <= await driver.right_ascension() < 24.0
            await driver.close()

    asyncio.run(work())


def test_the_driver_speaks_on_a_serial_line_too() -> None:
    async def work() -> None:
        async with quick() as simulator:
            driver = Lx200(f"serial://{await simulator.open_pty()}?baudrate=9600")
            assert await driver.connect() == "LX2001 4.2g"
            await driver.sync(*await asyncio.gather(driver.right_ascension(), driver.declination()))
            assert simulator.messages[-1] == "CM"
            await driver.close()

    asyncio.run(work())


def test_what_the_mount_refuses_is_told_in_its_words() -> None:
    async def work() -> None:
        async with quick() as simulator:
            driver = Lx200(simulator.url)
            await driver.connect()
            with pytest.raises(RefusedError, match="does not go there: Object Below Horizon"):
                await driver.slew(6.0, -80.0)  # from 32 degrees north
            with pytest.raises(RefusedError, match=r"refuses :Sd\+95\*00:00#"):
                await driver.slew(6.0, 95.0)
            await driver.close()

    asyncio.run(work())


def test_a_guide_pulse_moves_by_rate_and_time() -> None:
    async def work() -> None:
        async with quick() as simulator:
            driver = Lx200(simulator.url)
            await driver.connect()
            hours, degrees = simulator.mount.equatorial
            await driver.pulse("n", 0.4)
            await driver.pulse("w", 0.2)
            there = simulator.mount.equatorial
            assert (there[1] - degrees) * 3600.0 == pytest.approx(3.0, abs=1e-6)
            assert (there[0] - hours) * 15.0 * 3600.0 == pytest.approx(-1.5, abs=1e-6)
            with pytest.raises(BadValueError, match=r"pulse = 10.0 s is outside \[0, 9.999\] s"):
                await driver.pulse("n", 10.0)
            await driver.close()

    asyncio.run(work())


def test_an_answer_that_nobody_waits_for_goes_to_nobody_else() -> None:
    async def work() -> None:
        async with quick() as simulator:
            driver = Lx200(simulator.url)
            await driver.connect()
            for _ in range(20):
                asked = asyncio.ensure_future(driver.right_ascension())
                await asyncio.sleep(0)
                asked.cancel()
                assert abs(await driver.declination()) <= 90.0
                assert await driver.ask("GVP") == "LX2001"
            await driver.close()

    asyncio.run(work())


def test_a_mount_that_is_mute_or_talks_nonsense_is_given_up() -> None:
    async def work() -> None:
        async with quick() as simulator:
            driver = Lx200(simulator.url, timeout=0.2)
            await driver.connect()
            simulator.garbage(b"LX200#")
            with pytest.raises(ProtocolError, match="'LX200' is not HH:MM:SS"):
                await driver.right_ascension()
            simulator.garbage(b"?")
            with pytest.raises(ProtocolError, match="'\\?' after :Sr"):
                await driver.slew(5.0, 20.0)
            simulator.garbage(b"1" * 300)
            with pytest.raises(ProtocolError, match="more than 256 bytes"):
                await driver.ask("GVP")
            with pytest.raises(NotConnectedError, match="not connected"):
                await driver.ask("GVP")
            await driver.connect()
            simulator.is_mute = True
            with pytest.raises(TimeoutError, match=r"no answer within 0.2 s after b':GR#'"):
                await driver.right_ascension()
            simulator.is_mute = False
            await driver.connect()
            simulator.drop_connections()
            with pytest.raises(NotConnectedError):
                await driver.right_ascension()
            with pytest.raises(NotConnectedError):
                await Lx200("tcp://127.0.0.1:1").connect()

    asyncio.run(work())


def test_the_focus_runs_as_long_as_it_is_told() -> None:
    async def work() -> None:
        async with quick() as simulator:
            driver = Lx200(simulator.url)
            await driver.connect()
            await driver.move_focus(0.3)
            await driver.move_focus(-0.1)
            await until(lambda: simulator.messages[-1] == "FQ", "the motor stops")
            assert [each for each in simulator.messages if each.startswith("F")] == ["F+", "FQ", "F-", "FQ"]
            assert simulator.commands.focus > 10.0
            await driver.close()

    asyncio.run(work())
