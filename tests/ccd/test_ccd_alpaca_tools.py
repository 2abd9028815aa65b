"""Telescope and instrument on an Alpaca server: telescope, focuser, filter wheel."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from devices.ccd.alpaca_instrument import AlpacaInstrument
from devices.ccd.telescope import CcdTelescope
from devices.core import DeviceState
from devices.core.errors import ConfigurationError, NotAllowedError, RangeError
from devices.pipelines.ccd.sky_place import of_date, separation_deg
from devices.simulators.alpaca import AlpacaSimulator
from tests.ccd.test_ccd_telescope import ended, pointed
from tests.support.running import running, until


def server(**options: object) -> AlpacaSimulator:
    return AlpacaSimulator(**{"columns": 64, "rows": 48, "slew_degrees_s": 300.0, **options})


def telescope_on(simulator: AlpacaSimulator, **given: Any) -> CcdTelescope:
    settings, address = simulator.settings, f"http://127.0.0.1:{simulator.port}"
    site = {"longitude": settings.longitude, "latitude": settings.latitude, "height": settings.altitude_m}
    return CcdTelescope("ccd/1/telescope", {"mount": "alpaca", "link": f"{address}/0", **site, **given})


def test_a_telescope_on_alpaca_points_in_the_coordinates_of_the_date() -> None:
    async def work() -> None:
        async with server() as simulator, running(telescope_on(simulator)) as telescope:
            await until(lambda: telescope.connected, "its mount")
            assert telescope.mount_identity.value == "Simulated telescope"
            assert telescope.tracking.value is False
            target = await pointed(telescope, 140.0, 50.0)
            asked = [each for each in simulator.asked if each.startswith("telescope/")]
            assert [each.partition(" ")[0] for each in asked[-2:]] == [
                "telescope/tracking",
                "telescope/slewtocoordinatesasync",
            ]
            there = simulator.telescope.get_rightascension(), simulator.telescope.get_declination()
            assert separation_deg(there, of_date(*target, time.time())) * 3600.0 < 2.0
            assert separation_deg(there, target) * 3600.0 > 60.0  # precession since 2000
            # Its own altitude is reckoned with mean sidereal time and without aberration.
            assert simulator.telescope.get_altitude() == pytest.approx(50.0, abs=0.1)
            assert telescope.altitude.value == pytest.approx(50.0, abs=0.1)
            assert (await ended(telescope, await telescope.run("park")))["state"] == "DONE"
            assert simulator.telescope.get_atpark()
            await pointed(telescope, 200.0, 60.0)
            assert "telescope/unpark" in simulator.asked
            with pytest.raises(NotAllowedError, match="no focus"):
                await telescope.put("focus", 10.0)
            # Too low for the device's own limit, but not for the server's.
            low = await telescope.run("point", {"right_ascension": target[0], "declination": -45.0})
            assert "is outside [15.0, 90.0] deg" in (await ended(telescope, low))["error"]

    asyncio.run(work())


def test_a_slew_on_alpaca_stops_when_it_is_aborted() -> None:
    async def work() -> None:
        async with server(slew_degrees_s=2.0) as simulator, running(telescope_on(simulator)) as telescope:
            await until(lambda: telescope.connected, "its mount")
            hours, degrees = telescope.right_ascension.value, telescope.declination.value
            arguments = {"right_ascension": (hours + 1.5) % 24.0, "declination": degrees + 10.0}
            identity = await telescope.run("point", arguments)
            await until(lambda: telescope.slewing.value, "the slew")
            await telescope.run("abort", {"id": identity})
            assert (await ended(telescope, identity))["state"] == "ABORTED"
            assert not simulator.telescope.get_slewing()

    asyncio.run(work())


def test_the_focuser_of_a_telescope_may_be_another_device() -> None:
    async def work() -> None:
        async with server(focus_steps_s=20_000.0) as simulator:
            focuser = f"http://127.0.0.1:{simulator.port}/0"
            async with running(telescope_on(simulator, focuser=focuser)) as telescope:
                await until(lambda: telescope.connected, "its mount")
                assert telescope.focus.value == 25_000.0
                await telescope.put("focus", 24_000.0)
                assert telescope.focus.value == 24_000.0
                await telescope.run("step_focus", {"step": 250.0})
                assert simulator.focuser.get_position() == 24_250
                with pytest.raises(RangeError, match=r"focus = 60000 is outside \[0, 50000\]"):
                    await telescope.put("focus", 60_000.0)
                assert (await telescope.entries())["TELFOCUS"] == (24_250.0, "focus of the telescope")

    asyncio.run(work())


def instrument_on(simulator: AlpacaSimulator) -> AlpacaInstrument:
    address = f"http://127.0.0.1:{simulator.port}/0"
    return AlpacaInstrument("ccd/1/instrument", {"filter_wheels": [address], "focuser": address})


def test_a_filter_wheel_turns_and_an_exposure_waits_for_it() -> None:
    async def work() -> None:
        async with server(filter_s=0.9, focus_steps_s=2000.0) as simulator, running(instrument_on(simulator)) as found:
            await until(lambda: found.connected, "its parts")
            assert found.filters.value == ("Luminance", "Red", "Green", "Blue", "H-alpha")
            assert found.filter.value == "Luminance"
            await found.put("filter", "green")  # 1.8 s: longer than a put waits
            assert found.filter.reading.value is None
            assert found.state is DeviceState.MOVING
            await found.exposure_start()
            assert found.filter.value == "Green"
            assert found.wheels.value == ("0: Green",)
            await found.put("focus", 24_900.0)
            assert found.focus.value == 24_900.0
            await found.run("update_header")
            assert [found.header.get(name).value for name in ("FILTER", "INSTFOC")] == ["Green", 24_900.0]
            with pytest.raises(RangeError, match="'U' is none of Luminance, Red"):
                await found.put("filter", "U")
            with pytest.raises(RangeError, match=r"focus = -1\.0 is outside"):
                await found.put("focus", -1.0)
            with pytest.raises(NotAllowedError, match="no lamps"):
                await found.move_lamps(["ThAr"])

    asyncio.run(work())


def test_an_instrument_comes_back_after_its_server_was_away() -> None:
    async def work() -> None:
        simulator = server(filter_s=0.01)
        await simulator.start()
        port = simulator.port
        async with running(instrument_on(simulator)) as found:
            await until(lambda: found.connected, "its parts")
            await simulator.stop()
            await until(lambda: not found.connected, "the loss")
            assert found.filter.reading.value is None
            await found.exposure_start()  # does not wait for what is away
            simulator = server(filter_s=0.01)
            await simulator.start(port)
            await until(lambda: found.connected and found.filter.reading.value == "Luminance", "its parts", 10.0)
            await simulator.stop()

    asyncio.run(work())


@pytest.mark.parametrize(
    "link", ["tcp://127.0.0.1:11111", "http:///0", "http://127.0.0.1:11111/first", "http://h:99999"]
)
def test_a_link_that_is_no_alpaca_device_is_refused_at_the_start(link: str) -> None:
    with pytest.raises(ConfigurationError, match="is not http://HOST:PORT/NUMBER"):
        AlpacaInstrument("ccd/1/instrument", {"focuser": link})
    with pytest.raises(ConfigurationError, match="is not http://HOST:PORT/NUMBER"):
        CcdTelescope("ccd/1/telescope", {"mount": "alpaca", "link": link})
