"""The independent library sdss-archon drives the simulated controller, as it drives a real one."""

from __future__ import annotations

import asyncio
import warnings
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from devices.simulators._ccd.detector import test_pattern as pattern
from devices.simulators.archon import ArchonSimulator

pytest.importorskip("archon.controller", reason="sdss-archon is not installed")

from archon.controller import ArchonController
from archon.controller.maskbits import ArchonPower, ControllerStatus
from archon.exceptions import ArchonControllerError

ACF = Path(__file__).parents[2] / "dbconfig" / "ccd" / "archon.acf"

pytestmark = pytest.mark.filterwarnings("ignore")

Bench = tuple[ArchonSimulator, Any]


@asynccontextmanager
async def peer(**options: object) -> AsyncIterator[Bench]:
    options = {"columns": 240, "rows": 200, "prescan": 0, "scene": "test", "pixel_rate_hz": 1e6} | options
    async with ArchonSimulator(**options) as simulator:
        controller = ArchonController("peer", "127.0.0.1", simulator.port)
        controller.config["archon"]["int_param"] = "IntMS"
        controller.config["timeouts"]["write_config_delay"] = 0
        await controller.start(reset=False, read_acf=False)
        try:
            yield simulator, controller
        finally:
            await controller.stop()


def using(test: Callable[[ArchonSimulator, Any], Awaitable[None]], **options: object) -> None:
    async def run() -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            async with peer(**options) as (simulator, controller):
                await test(simulator, controller)

    asyncio.run(run())


async def ready(controller: Any) -> None:
    await controller.write_config(ACF, applyall=True, poweron=True)
    await controller.set_window(lines=100, pixels=120, overscanpixels=10, overscanlines=0)


def test_it_finds_the_modules_and_the_temperatures() -> None:
    async def test(simulator: ArchonSimulator, controller: Any) -> None:
        system = await controller.get_system()
        assert system["backplane_version"] == "1.0.1252"
        assert system["mod10_name"] == "HEATERX"
        status = await controller.get_device_status()
        assert status["powergood"] == 1
        assert 20.0 < status["backplane_temp"] < 50.0
        assert controller.status & ControllerStatus.POWERBAD  # nothing is configured yet

    using(test)


def test_it_writes_a_configuration_powers_on_and_reads_it_back() -> None:
    async def test(simulator: ArchonSimulator, controller: Any) -> None:
        await controller.write_config(ACF, applyall=True, poweron=True)
        assert await controller.power() == ArchonPower.ON
        parser, lines = await controller.read_config()
        assert len(lines) == len([line for line in ACF.read_text().splitlines() if "=" in line]) - 3  # of [SYSTEM]
        assert parser["CONFIG"]["PARAMETER2"].upper() == '"INTMS=0"'
        assert simulator.controller.timing.parameters["LINES"] == 2048

    using(test)


@pytest.mark.parametrize("seconds", [0.0, 0.4])
def test_it_exposes_and_fetches_the_frame(seconds: float) -> None:
    async def test(simulator: ArchonSimulator, controller: Any) -> None:
        await ready(controller)
        await (await controller.expose(seconds))
        assert controller.status & ControllerStatus.READING
        async with asyncio.timeout(5):
            while not (await controller.get_frame())["buf1complete"]:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        frame = await controller.fetch()
        assert frame.shape == (100, 4 * 130)
        np.testing.assert_array_equal(frame[:, 130:260], pattern(1, 100, 130))
        told = await controller.get_frame()
        assert (told["buf1fetimestamp"] - told["buf1retimestamp"]) / 1e8 == pytest.approx(seconds, abs=0.1)

    using(test)


def test_it_exposes_aborts_and_reads_what_there_is() -> None:
    async def test(simulator: ArchonSimulator, controller: Any) -> None:
        await ready(controller)
        task = await controller.expose(30.0, readout=False)
        await controller.abort(readout=False)
        assert task.cancelled() or task.done()
        await controller.readout(wait_for=0.05)
        assert (await controller.fetch()).shape == (100, 520)

    using(test)


def test_it_flushes_and_sets_heaters() -> None:
    async def test(simulator: ArchonSimulator, controller: Any) -> None:
        await ready(controller)
        await controller.flush(count=3, wait_for=0.1)
        assert simulator.controller.timing.sweeps == 3
        await controller.write_line("MOD10/HEATERATARGET", -90.0, apply=True)
        await controller.write_line("MOD10/HEATERAENABLE", 1, apply=True)
        assert simulator.controller.housekeeping.cryostat.target_c == -90.0
        assert simulator.controller.housekeeping.cryostat.target_c is not None

    using(test)


def test_it_is_told_of_a_refusal() -> None:
    async def test(simulator: ArchonSimulator, controller: Any) -> None:
        simulator.faults.refused = {"CLEARCONFIG"}
        with pytest.raises(ArchonControllerError, match="CLEARCONFIG"):
            await controller.write_config(ACF)

    using(test)
