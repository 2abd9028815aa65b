"""A camera of this project behind its own Alpaca server is the controller of another camera."""

from __future__ import annotations

import asyncio
from pathlib import Path

import numpy as np
import pytest

from devices.ccd.alpaca_link import AlpacaLink
from devices.ccd.alpaca_settings import AlpacaSettings
from devices.ccd.detector_setup import DetectorSetup
from devices.core.errors import RangeError
from tests.alpaca.served import Served, on_server


def test_a_camera_is_the_controller_of_another(tmp_path: Path) -> None:
    async def test(served: Served) -> None:
        host, _, port = served.service.endpoint.rpartition(":")
        link = AlpacaLink(AlpacaSettings(host, int(port)))
        assert (await link.connect()).startswith("ccd/1/exposure")
        assert link.capabilities.reads_early and link.capabilities.most_binning == 30
        setup = DetectorSetup().changed({"format": [60, 0, 0, 0, 40], "roi": [11, 50, 7, 36, 2, 3]})
        await link.set_geometry(setup.geometry())
        await link.start_exposure(0.1, True)
        async with asyncio.timeout(10.0):
            while await link.remaining() > 0.0:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            image = await link.read_image(lambda left: None)
        pixels = image.pixels.reshape(10, 20)
        # Binned by 2 x 3, amplifiers have 15 x 6 pixels, 1000 * amplifier + row; the upper ones are read downwards. The
        # window begins in column 5 and row 2.
        left = np.array([2, 3, 4, 5, 2005, 2004, 2003, 2002, 2001, 2000])
        np.testing.assert_array_equal(pixels, np.repeat([left, left + 1000], 10, axis=0).T)
        assert -101.5 in [each.celsius for each in await link.temperatures()]
        with pytest.raises(RangeError, match="-200"):
            await link.set_temperature(-200.0)
        await link.close()

    on_server(tmp_path, test)
