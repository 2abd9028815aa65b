"""The telescope device on its simulated mount."""

from __future__ import annotations

import asyncio
import math
import time
from typing import Any

import pytest

from devices.ccd.telescope import CcdTelescope
from devices.core import DeviceState
from devices.core.errors import ConfigurationError, RangeError
from devices.pipelines.ccd.sky_place import place_at, separation_deg
from tests.support.running import running, until

#: Slews of some tens of degrees take a few tenths of a second.
QUICK = {"slew_rate": 400.0, "acceleration": 4000.0, "latitude": 28.7606, "longitude": -17.8792}


async def ended(telescope: CcdTelescope, identity: str) -> dict[str, Any]:
    await until(
        lambda: telescope.operations.status(identity)["state"] in ("DONE", "FAILED", "ABORTED"),
        f"the end of {identity}",
    )
    return telescope.operations.status(identity)


async def pointed(telescope: CcdTelescope, azimuth: float, altitude: float) -> tuple[float, float]:
    """Point to what stands there now; its right ascension and declination."""
    hours, degrees = place_at(telescope.properties.site, azimuth, altitude, time.time())
    identity = await telescope.run("point", {"right_ascension": hours, "declination": degrees})
    assert (await ended(telescope, identity))["state"] == "DONE"
    return hours, degrees


def test_a_telescope_points_and_says_where_in_the_header() -> None:
    async def work() -> None:
        async with running(CcdTelescope("ccd/1/telescope", {**QUICK, "telescope_name": "Bok"})) as telescope:
            await until(lambda: telescope.connected, "its mount")
            hours, degrees = await pointed(telescope, 135.0, 30.0)
            assert telescope.right_ascension.value == pytest.approx(hours)
            assert telescope.declination.value == pytest.approx(degrees)
            assert telescope.altitude.value == pytest.approx(30.0, abs=0.05)
            assert telescope.airmass.value == pytest.approx(2.0, abs=0.01)
            assert telescope.hour_angle.value < 0.0
            await telescope.put("position_angle", 12.5)
            found = {name: entry[0] for name, entry in (await telescope.entries()).items() if isinstance(entry, tuple)}
            assert found["TELESCOP"] == "Bok"
            assert (found["EQUINOX"], found["ROTANGLE"], found["TRACKING"]) == (2000.0, 12.5, True)
            assert found["AZIMUTH"] == pytest.approx(135.0, abs=0.1)
            assert found["ELEVAT"] + found["ZD"] == pytest.approx(90.0)
            assert found["AIRMASS"] == pytest.approx(2.0, abs=0.01)
            assert found["HA"].startswith("-")
            assert found["ST"].count(":") == 2

    asyncio.run(work())


def test_what_stands_too_low_is_refused_before_anything_moves() -> None:
    async def work() -> None:
        async with running(CcdTelescope("ccd/1/telescope", {**QUICK, "lowest_altitude": 20.0})) as telescope:
            await until(lambda: telescope.connected, "its mount")
            before = telescope.right_ascension.value, telescope.declination.value
            hours, degrees = place_at(telescope.properties.site, 90.0, 19.0, time.time())
            identity = await telescope.run("point", {"right_ascension": hours, "declination": degrees})
            status = await ended(telescope, identity)
            assert status["state"] == "FAILED"
            assert status["error"].startswith("RangeError: altitude = 19.0")
            assert "is outside [20.0, 90.0] deg" in status["error"]
            # From 28.8 degrees north the southern pole is never up.
            with pytest.raises(RangeError, match=r"altitude = -2\d\.\d+ deg"):
                await telescope.put("declination", -89.0)
            assert (await telescope.ask_pointing()).is_slewing is False
            assert (telescope.right_ascension.value, telescope.declination.value) == pytest.approx(before)

    asyncio.run(work())


def test_an_offset_moves_on_the_sky_and_adds_up() -> None:
    async def work() -> None:
        async with running(CcdTelescope("ccd/1/telescope", QUICK)) as telescope:
            await until(lambda: telescope.connected, "its mount")
            hours, degrees = await pointed(telescope, 20.0, 50.0)  # towards the pole: declination above 60 deg
            for east, north in ((120.0, -30.0), (-60.0, 0.0)):
                identity = await telescope.run("offset", {"east": east, "north": north})
                assert (await ended(telescope, identity))["state"] == "DONE"
            there = telescope.right_ascension.value, telescope.declination.value
            moved = separation_deg((hours, degrees), there) * 3600.0
            assert moved == pytest.approx(math.hypot(60.0, 30.0), abs=0.1)
            assert (there[1] - degrees) * 3600.0 == pytest.approx(-30.0, abs=0.2)
            assert (there[0] - hours) * 15.0 * 3600.0 > 100.0  # 60 arcsec over the cosine of the declination
            keywords = await telescope.entries()
            assert (keywords["RAOFFST"][0], keywords["DECOFFST"][0]) == (60.0, -30.0)  # type: ignore[index]
            far = await telescope.run("offset", {"east": 7000.0, "north": 7000.0})
            assert "is longer than 7200 arcsec" in (await ended(telescope, far))["error"]
            await pointed(telescope, 180.0, 50.0)
            assert (telescope.offset_east.value, telescope.offset_north.value) == (0.0, 0.0)

    asyncio.run(work())


def test_a_slew_shows_and_can_be_aborted() -> None:
    async def work() -> None:
        async with running(CcdTelescope("ccd/1/telescope", {**QUICK, "slew_rate": 5.0})) as telescope:
            await until(lambda: telescope.connected, "its mount")
            hours, degrees = place_at(telescope.properties.site, 90.0, 30.0, time.time())
            identity = await telescope.run("point", {"right_ascension": hours, "declination": degrees})
            await until(lambda: telescope.slewing.value, "the slew")
            await until(lambda: 0.0 < telescope.operations.status(identity)["progress"] < 100.0, "progress")
            await telescope.run("abort", {"id": identity})
            assert (await ended(telescope, identity))["state"] == "ABORTED"
            assert not (await telescope.ask_pointing()).is_slewing
            there = telescope.right_ascension.value, telescope.declination.value
            assert separation_deg((hours, degrees), there) > 1.0
            await telescope.put("declination", telescope.declination.value - 20.0)
            await until(lambda: telescope.state is DeviceState.MOVING, "MOVING")
            await telescope.run("halt")
            assert telescope.state is DeviceState.ON
            assert telescope.declination.setpoint is not None
            assert telescope.declination.setpoint.value == pytest.approx(telescope.declination.value)

    asyncio.run(work())


def test_what_sets_below_the_limit_is_tracked_no_longer() -> None:
    async def work() -> None:
        telescope = CcdTelescope("ccd/1/telescope", {**QUICK, "lowest_altitude": 25.0})
        async with running(telescope):
            await until(lambda: telescope.connected, "its mount")
            # In the west it sinks by 11 arcsec a second.
            await pointed(telescope, 270.0, 25.002)
            assert telescope.tracking.value is True
            await until(lambda: telescope.tracking.value is False, "tracking is off")
            altitude = telescope.altitude.value
            assert altitude == pytest.approx(25.0, abs=0.01)
            with pytest.raises(RangeError, match=r"outside \[25.0, 90.0\] deg"):
                await telescope.put("tracking", True)

    asyncio.run(work())


def test_a_parked_telescope_stands_still() -> None:
    async def work() -> None:
        where = {"park_azimuth": 90.0, "park_altitude": 0.0, "lowest_altitude": -1.0}
        async with running(CcdTelescope("ccd/1/telescope", {**QUICK, **where})) as telescope:
            await until(lambda: telescope.connected, "its mount")
            await pointed(telescope, 120.0, 40.0)
            assert (await ended(telescope, await telescope.run("park")))["state"] == "DONE"
            assert telescope.tracking.value is False
            assert (telescope.azimuth.value, telescope.altitude.value) == pytest.approx((90.0, 0.0), abs=0.02)
            assert telescope.airmass.reading.value is None
            assert "AIRMASS" not in await telescope.entries()

    asyncio.run(work())


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"lowest_altitude": 80.0, "highest_altitude": 70.0}, "lowest_altitude = 80.0 deg is above"),
        ({"focus_limits": [5.0]}, "focus_limits"),
        ({"mount": "lx200"}, "mount = lx200 needs the property link"),
        ({"mount": "dobson"}, "mount"),
    ],
)
def test_a_telescope_that_cannot_be_is_refused_at_the_start(given: dict[str, Any], text: str) -> None:
    with pytest.raises(ConfigurationError, match=text):
        CcdTelescope("ccd/1/telescope", given)


def test_the_focus_has_limits() -> None:
    async def work() -> None:
        async with running(CcdTelescope("ccd/1/telescope", {**QUICK, "focus_limits": [0.0, 500.0]})) as telescope:
            await until(lambda: telescope.connected, "its mount")
            await telescope.put("focus", 120.0)
            await telescope.run("step_focus", {"step": -20.0})
            assert telescope.focus.value == 100.0
            with pytest.raises(RangeError, match=r"focus = 501.0 is outside \[0.0, 500.0\]"):
                await telescope.put("focus", 501.0)
            with pytest.raises(RangeError, match=r"focus = -1\.0"):
                await telescope.run("step_focus", {"step": -101.0})

    asyncio.run(work())
