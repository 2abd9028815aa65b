"""Series of a SAXS detector: the figures of the images that are exposed after it was asked."""

from __future__ import annotations

import asyncio
import json
import math
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from devices.drivers.mask_file import encode_fit2d_mask
from devices.saxs import SaxsDetector
from devices.simulators import saxs as simulator
from devices.simulators.dcss import Database, DcssSimulator
from devices.simulators.saxs import SilverBehenate, write_image
from tests.support.running import running, until

FIRST_RING = 2 * math.pi / 5.838  # nm^-1, silver behenate, d = 58.38 Angstrom
DETECTOR = SilverBehenate((256, 320), seed=7)


def with_detector(folder: Path, test: Callable[[SaxsDetector], Awaitable[None]]) -> None:
    folder.mkdir(exist_ok=True)
    (folder / "mask.msk").write_bytes(encode_fit2d_mask(DETECTOR.mask))
    (folder / "calibration.json").write_text(json.dumps(DETECTOR.calibration()))

    async def run() -> None:
        async with running(SaxsDetector("saxs/test/1", {"folder": str(folder), "outputs": "none"})) as device:
            await until(lambda: "watching" in device.status, "it watches", 30.0)
            await test(device)

    asyncio.run(run())


def images(folder: Path) -> int:
    return len(list(folder.glob("agbeh_*.tif")))


def expose(path: Path, seconds: float, began: float) -> None:
    """An image; its counts are as many as the exposure is long."""
    write_image(path, DETECTOR.expose(seconds), seconds, began)


async def ended(device: SaxsDetector, run: str) -> dict[str, Any]:
    await until(lambda: device.operations.status(run)["state"] not in ("QUEUED", "RUNNING"), "its end", 60.0)
    return device.operations.status(run)


def test_a_series_has_the_mean_figures_of_images_exposed_since_it_was_asked_for(tmp_path: Path) -> None:
    async def test(device: SaxsDetector) -> None:
        expose(tmp_path / "before.tif", 9.0, time.time())
        await until(lambda: device.images_processed.value == 1, "the image of before", 60.0)
        run = await device.run("series", {"images": 2, "seconds": 60.0})
        began = time.time()
        expose(tmp_path / "half.tif", 9.0, began - 5.0)  # its exposure began before
        await until(lambda: device.images_processed.value == 2, "the image of meanwhile", 60.0)
        expose(tmp_path / "one.tif", 1.0, began + 0.1)
        await until(lambda: device.operations.status(run)["progress"] == 50.0, "half of it", 60.0)
        expose(tmp_path / "three.tif", 3.0, began + 0.2)
        status = await ended(device, run)
        found = status["result"]
        assert (found["images"], found["first"], found["last"]) == (2, "one.tif", "three.tif")
        assert found["q_peak"] == pytest.approx(FIRST_RING, abs=0.004)
        # Counts of 1 s and 3 s: their mean is that of 2 s, their standard deviation that of sqrt(2) s.
        assert found["i0_sd"] / found["i0"] == pytest.approx(math.sqrt(2.0) / 2.0, rel=0.02)
        assert found["correlation_length"] == pytest.approx(device.correlation_length.value, rel=0.01)

    with_detector(tmp_path, test)


def test_a_series_that_lacks_images_fails_in_time_and_one_without_a_queue_at_once(tmp_path: Path) -> None:
    async def test(device: SaxsDetector) -> None:
        run = await device.run("series", {"images": 2, "seconds": 0.5})
        assert (await ended(device, run))["error"] == "TimeoutError: series: 0 of 2 images within 0.5 s"
        await device.put("watching", False)
        await until(lambda: "not watching" in device.status, "it does not watch")
        status = await ended(device, await device.run("series", {"images": 1, "seconds": 9.0}))
        assert status["error"] == f"NotAllowedError: series: no images come: {tmp_path} is not watched"

    with_detector(tmp_path, test)


def test_the_simulated_detector_takes_images_while_the_shutter_of_dcss_is_open(tmp_path: Path) -> None:
    document = {
        "hosts": {"self": {"simulated": True}},
        "devices": [{"kind": "shutter", "names": ["shutter", "other"], "host": "self"}],
    }

    async def test() -> None:
        async with DcssSimulator(Database.of(document)) as dcss:
            options = {"folder": str(tmp_path), "rate_hz": 20, "prepared": 2, "dcss": f"127.0.0.1:{dcss.gui_port}"}
            detector = asyncio.create_task(simulator.run(0, options))
            try:
                await until(lambda: dcss.gui.clients, "it hears DCSS", 30.0)
                dcss.engine.ask("other", "stoh_set_shutter_state other open")
                await dcss.engine.idle("other")
                await asyncio.sleep(0.3)  # six images
                assert images(tmp_path) == 0
                dcss.engine.ask("shutter", "stoh_set_shutter_state shutter open")
                await until(lambda: images(tmp_path) >= 3, "three images", 30.0)
                dcss.engine.ask("shutter", "stoh_set_shutter_state shutter closed")
                await dcss.engine.idle("shutter")
                await asyncio.sleep(0.1)  # one is on its way
                taken = images(tmp_path)
                await asyncio.sleep(0.3)
                assert images(tmp_path) == taken
            finally:
                detector.cancel()

    asyncio.run(test())
