"""The telescope device on a mount that speaks LX200."""

from __future__ import annotations

import asyncio
import time

import pytest

from devices.ccd.telescope import CcdTelescope
from devices.core.errors import RangeError
from devices.pipelines.ccd.sky_place import place_at, separation_deg
from devices.simulators.lx200 import Lx200Simulator
from tests.ccd.test_ccd_telescope import ended, pointed
from tests.support.running import running, until


def test_a_telescope_on_lx200_points_offsets_and_comes_back_after_its_mount_was_away() -> None:
    async def work() -> None:
        async with Lx200Simulator(rate=400.0, acceleration=4000.0) as simulator:
            given = {"mount": "lx200", "link": simulator.url, "lowest_altitude": 20.0}
            async with running(CcdTelescope("ccd/1/telescope", given)) as telescope:
                await until(lambda: telescope.connected, "its mount")
                assert telescope.mount_identity.value == "LX2001 4.2g"
                target = await pointed(telescope, 150.0, 45.0)
                # J2000 here, the date there: since 2000 precession has moved everything by several minutes of arc.
                assert separation_deg(simulator.mount.equatorial, target) * 3600.0 < 15.0
                assert telescope.altitude.value == pytest.approx(45.0, abs=0.1)

                before = simulator.mount.equatorial
                identity = await telescope.run("offset", {"east": -3.0, "north": 2.0})
                assert (await ended(telescope, identity))["state"] == "DONE"
                after = simulator.mount.equatorial
                assert separation_deg(before, after) * 3600.0 == pytest.approx(13.0**0.5, abs=0.1)
                assert (after[1] - before[1]) * 3600.0 == pytest.approx(2.0, abs=0.01)
                assert not [each for each in simulator.messages if each.startswith("MS")][1:]

                identity = await telescope.run("offset", {"north": 600.0})
                assert (await ended(telescope, identity))["state"] == "DONE"
                assert (simulator.mount.equatorial[1] - after[1]) * 3600.0 == pytest.approx(600.0, abs=3.0)

                low = place_at(telescope.properties.site, 90.0, 10.0, time.time())
                asked = len([each for each in simulator.messages if each == "MS"])
                identity = await telescope.run("point", {"right_ascension": low[0], "declination": low[1]})
                assert "is outside [20.0, 90.0] deg" in (await ended(telescope, identity))["error"]
                assert len([each for each in simulator.messages if each == "MS"]) == asked
                with pytest.raises(RangeError):
                    await telescope.put("declination", -89.0)

                simulator.drop_connections()
                await until(lambda: not telescope.connected, "the loss")
                await until(lambda: telescope.connected, "the mount is back")
                assert "RA" in await telescope.entries()

    asyncio.run(work())


def test_a_slew_on_lx200_is_stopped_when_it_is_aborted() -> None:
    async def work() -> None:
        async with Lx200Simulator(rate=3.0) as simulator:
            given = {"mount": "lx200", "link": simulator.url}
            async with running(CcdTelescope("ccd/1/telescope", given)) as telescope:
                await until(lambda: telescope.connected, "its mount")
                hours, degrees = place_at(telescope.properties.site, 90.0, 40.0, time.time())
                identity = await telescope.run("point", {"right_ascension": hours, "declination": degrees})
                await until(lambda: telescope.slewing.value, "the slew")
                await telescope.run("abort", {"id": identity})
                assert (await ended(telescope, identity))["state"] == "ABORTED"
                await until(lambda: not simulator.mount.is_slewing, "the mount stands")
                assert telescope.connected

    asyncio.run(work())


def test_a_slew_whose_mount_goes_away_has_failed() -> None:
    async def work() -> None:
        async with Lx200Simulator(rate=2.0) as simulator:
            given = {"mount": "lx200", "link": simulator.url}
            async with running(CcdTelescope("ccd/1/telescope", given)) as telescope:
                await until(lambda: telescope.connected, "its mount")
                hours, degrees = place_at(telescope.properties.site, 90.0, 40.0, time.time())
                identity = await telescope.run("point", {"right_ascension": hours, "declination": degrees})
                await until(lambda: telescope.slewing.reading.value, "the slew")
                simulator.drop_connections()
                status = await ended(telescope, identity)
                assert (status["state"], status["error"].partition(":")[0]) == ("FAILED", "NotConnectedError")
                await until(lambda: not telescope.connected, "the loss")
                await until(lambda: telescope.connected and telescope.slewing.reading.value, "it still slews")
                await telescope.run("halt")
                assert not simulator.mount.is_slewing

    asyncio.run(work())


def test_the_focus_of_an_lx200_is_the_time_that_its_motor_ran() -> None:
    async def work() -> None:
        async with Lx200Simulator() as simulator:
            given = {"mount": "lx200", "link": simulator.url}
            async with running(CcdTelescope("ccd/1/telescope", given)) as telescope:
                await until(lambda: telescope.connected, "its mount")
                await telescope.put("focus", 200.0)
                await telescope.run("step_focus", {"step": -50.0})
                assert telescope.focus.value == pytest.approx(150.0, abs=1.0)
                assert [each for each in simulator.messages if each.startswith("F")] == ["F+", "FQ", "F-", "FQ"]

    asyncio.run(work())
