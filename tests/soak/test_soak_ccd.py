"""A thousand exposures, some of them aborted, paused or failing: none is lost, none gets stuck, nothing grows."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

import psutil
import pytest
from astropy.io import fits

from devices.ccd.exposure_state import ExposureState
from devices.core.errors import NotAllowedError
from tests.ccd.camera import REFUSED, camera

EXPOSURES = 1000


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_thousand_exposures(tmp_path: Path) -> None:
    chance = random.Random(20261121)

    async def work() -> None:
        async with camera(tmp_path / "data") as found:
            done = aborted = failed = 0
            settled = 0
            for number in range(EXPOSURES):
                what = chance.choice(["plain", "plain", "plain", "abort", "pause", "early", "fault", "type"])
                if what == "fault":
                    found.link.faults[chance.choice(["set_geometry", "flush", "start_exposure", "read_image"])] = (
                        REFUSED
                    )
                seconds = 0.02 if what in ("plain", "fault") else 0.2
                name = chance.choice(["zero", "dark", "flat", "ThAr"]) if what == "type" else "object"
                identity = await found.start("expose", seconds=seconds, image_type=name)
                if what in ("abort", "pause", "early"):
                    await asyncio.sleep(chance.uniform(0.0, 0.25))
                    try:
                        if what == "abort":
                            await found.abort()
                        elif what == "early":
                            await found.exposure.run("start_readout")
                        else:
                            await found.exposure.run("pause")
                            await found.exposure.run("resume")
                    except NotAllowedError:
                        pass  # it came too early or too late
                state = (await found.ended(identity))["state"]
                done, aborted, failed = (
                    done + (state == "DONE"),
                    aborted + (state == "ABORTED"),
                    failed + (state == "FAILED"),
                )
                assert found.exposure.exposure_state.value is ExposureState.IDLE
                assert (state == "FAILED") == (what == "fault"), (what, state)
                assert not found.link.shutter and not found.instrument.comps_burn.value
                if number == EXPOSURES // 5:
                    settled = psutil.Process().memory_info().rss
            assert done > EXPOSURES / 2 and aborted > 20 and failed > 50
            # An abort that came in the last moment, behind the read-out, leaves an image that waits.
            files = sorted((tmp_path / "data").glob("*.fits"))
            assert len(files) >= done
            assert {fits.getval(each, "NAMPS") for each in files[:: len(files) // 20]} == {4}
            assert psutil.Process().memory_info().rss - settled < 30e6

    asyncio.run(work())
