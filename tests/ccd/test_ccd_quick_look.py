"""Quick looks of the exposure device: what it says of images with known levels, light, stars and noise."""

from __future__ import annotations

import asyncio
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from devices.ccd.controller_link import Layout, PixelsLeft, RawImage
from devices.core import Quality
from devices.pipelines.ccd import quick_look
from devices.pipelines.ccd.detector import FocalPlane, Format, Geometry
from devices.pipelines.ccd.geometry import make_geometry, whole
from tests.ccd.camera import Camera, camera
from tests.support.running import until

ROWS, COLUMNS, OVERSCAN = 100, 120, 32
#: Four amplifiers around a detector of 240 x 200 pixels of 0.4 arcsec.
DETECTOR = {
    "format": [2 * COLUMNS, 0, 0, OVERSCAN, 2 * ROWS, 0, 0, 0, 0],
    "focalplane": [1, 1, 2, 2, [0, 1, 2, 3]],
    "scale_arcsec": [0.4, 0.4],
    "gains": [1.5, 1.6, 1.4, 2.0],
}
BIAS_ADU = (1000.0, 1100.0, 1250.0, 940.0)
GAINS = (1.5, 1.6, 1.4, 2.0)  # e-/adu
READ_NOISE = 4.0  # e-


class Sky:
    """Electrons of the next images, (y, x) as they lie on the detector, and what the amplifiers make of them."""

    def __init__(self) -> None:
        self.electrons: NDArray[Any] = np.zeros((2 * ROWS, 2 * COLUMNS))
        self.random = np.random.default_rng(7)

    def star(self, x: float, y: float, flux: float, fwhm: float) -> None:
        """At a column and a row from 1.0, of so many electrons."""
        rows, columns = np.mgrid[1.0 : 2 * ROWS + 1, 1.0 : 2 * COLUMNS + 1]
        sigma = fwhm / 2.3548
        distance = ((columns - x) ** 2 + (rows - y) ** 2) / sigma**2
        self.electrons += flux / (2.0 * math.pi * sigma**2) * np.exp(-0.5 * distance)

    def raw(self) -> NDArray[np.uint16]:
        """(row, amplifier, column) in the order of reading: each amplifier begins at its own corner."""
        raw = np.empty((ROWS, 4, COLUMNS + OVERSCAN), np.uint16)
        for amp in range(4):
            right, upper = amp % 2, amp // 2
            part = self.electrons[upper * ROWS : (upper + 1) * ROWS, right * COLUMNS : (right + 1) * COLUMNS]
            part = part[:: -1 if upper else 1, :: -1 if right else 1]
            read = self.random.normal(0.0, READ_NOISE, (ROWS, COLUMNS + OVERSCAN))
            read[:, :COLUMNS] += self.random.poisson(part)
            raw[:, amp] = np.clip(np.rint(BIAS_ADU[amp] + read / GAINS[amp]), 0, 65535)
        return raw

    async def read_image(self, pixels_left: PixelsLeft) -> RawImage:
        """In the place of the link's."""
        raw = self.raw()
        pixels_left(0)
        return RawImage(raw, Layout.TAPS)


def look_with(folder: Path, test: Any, **properties: Any) -> None:
    async def work() -> None:
        async with camera(folder / "data", **{"detector": json.dumps(DETECTOR), **properties}) as found:
            sky = Sky()
            found.link.read_image = sky.read_image  # type: ignore[method-assign]
            await test(found, sky)

    asyncio.run(work())


async def looked(camera: Camera, image_type: str, seconds: float = 0.0) -> str:
    """Take an image, and wait until it has been looked at; its name."""
    name = Path((await camera.done("expose", seconds=seconds, image_type=image_type))["file"]).name
    await until(lambda: camera.exposure.looked_at.value == name, f"the look at {name}", 20.0)
    assert camera.exposure.look_problem.value == ""
    return name


def test_each_amplifier_has_its_own_bias_noise_and_light(tmp_path: Path) -> None:
    async def test(camera: Camera, sky: Sky) -> None:
        sky.electrons += 3000.0
        sky.electrons[10:12, 20:23] = 1e6  # on the first amplifier
        await looked(camera, "flat", 0.01)
        found = camera.exposure
        np.testing.assert_allclose(found.amp_bias.value, BIAS_ADU, atol=0.5)
        np.testing.assert_allclose(found.amp_noise.value, READ_NOISE / np.array(GAINS), rtol=0.1)
        np.testing.assert_allclose(found.amp_median.value, 3000.0 / np.array(GAINS), rtol=0.005)
        np.testing.assert_allclose(found.amp_mean.value, 3000.0 / np.array(GAINS), rtol=0.005)
        shot = np.sqrt(3000.0 + READ_NOISE**2) / np.array(GAINS)
        np.testing.assert_allclose(found.amp_sigma.value, shot, rtol=0.05)
        assert found.amp_saturated.value.tolist() == [6, 0, 0, 0]
        assert found.saturated_pixels.value == 6
        assert found.amp_maximum.value[0] == pytest.approx(65535.0 - BIAS_ADU[0], abs=0.5)
        # A detector that is full before its converter is.
        await found.put("saturation", 1e3)
        await looked(camera, "flat", 0.01)
        assert found.saturated_pixels.value == 4 * ROWS * COLUMNS

    look_with(tmp_path, test)


def test_a_star_on_the_seam_of_four_amplifiers_is_found_once_where_it_is(tmp_path: Path) -> None:
    async def test(camera: Camera, sky: Sky) -> None:
        sky.electrons += 200.0
        sky.star(120.7, 100.4, 60_000.0, 3.5)
        sky.star(40.25, 170.75, 30_000.0, 3.5)
        sky.star(200.0, 30.0, 9e6, 3.5)  # saturated
        name = await looked(camera, "object", 0.01)
        found = camera.exposure
        assert found.stars_of.value == name
        places = {(round(x), round(y)) for x, y in zip(found.star_x.value, found.star_y.value, strict=True)}
        assert places == {(121, 100), (40, 171), (200, 30)}
        assert found.stars.value == 3
        assert found.star_x.value[1] == pytest.approx(120.7, abs=0.1)
        assert found.star_y.value[1] == pytest.approx(100.4, abs=0.1)
        assert found.fwhm.value == pytest.approx(3.5, rel=0.05)
        assert found.fwhm_arcsec.value == pytest.approx(1.4, rel=0.05)
        assert found.ellipticity.value < 0.1
        # What was said of the stars stays while biases are taken; a field without stars has no width.
        sky.electrons[:] = 0.0
        await looked(camera, "zero")
        assert found.stars_of.value == name
        assert found.fwhm.value == pytest.approx(3.5, rel=0.05)
        await looked(camera, "object", 0.01)
        assert found.stars.value == 0
        assert found.fwhm.reading.quality is Quality.INVALID

    look_with(tmp_path, test)


def test_two_zeros_and_two_flats_give_gain_and_read_noise_of_each_amplifier(tmp_path: Path) -> None:
    async def test(camera: Camera, sky: Sky) -> None:
        found = camera.exposure
        assert found.photon_transfer.value == "missing: 2 zeros, 2 flats"
        await looked(camera, "zero")
        await looked(camera, "zero")
        assert found.photon_transfer.value == "missing: 2 flats"
        sky.electrons += 20_000.0
        await looked(camera, "flat", 0.01)
        assert found.photon_transfer.value == "missing: 1 flat of 0.01 s"
        # A flat of another time makes no pair with it.
        await looked(camera, "flat", 0.02)
        assert found.photon_transfer.value == "missing: 1 flat of 0.02 s"
        assert found.amp_gain.reading.value is None
        await looked(camera, "flat", 0.02)
        assert found.photon_transfer.value == "of a.0004.fits, a.0005.fits, a.0001.fits, a.0002.fits"
        np.testing.assert_allclose(found.amp_gain.value, GAINS, rtol=0.05)
        np.testing.assert_allclose(found.amp_read_noise.value, READ_NOISE, rtol=0.06)
        np.testing.assert_allclose(found.amp_signal.value, 20_000.0 / np.array(GAINS), rtol=0.01)
        # One that is saturated is not taken.
        sky.electrons += 2e5
        await looked(camera, "flat", 0.02)
        assert found.photon_transfer.value.startswith("a.0006.fits is saturated; of a.0004.fits")
        np.testing.assert_allclose(found.amp_gain.value, GAINS, rtol=0.05)
        # Another binning begins anew.
        await found.run("forget_pairs")
        assert found.photon_transfer.value == "missing: 2 zeros, 2 flats"

    look_with(tmp_path, test)


def test_without_overscan_levels_are_told_with_the_bias_in_them(tmp_path: Path) -> None:
    async def test(camera: Camera, sky: Sky) -> None:
        await looked(camera, "zero")
        assert camera.exposure.amp_bias.reading.quality is Quality.INVALID
        assert camera.exposure.amp_median.value == pytest.approx([9.5, 1009.5, 2009.5, 3009.5])

    async def work() -> None:
        detector = {"format": [60, 0, 0, 0, 40, 0, 0, 0, 0], "focalplane": [1, 1, 2, 2, [0, 1, 2, 3]]}
        async with camera(tmp_path / "data", detector=json.dumps(detector)) as found:
            # Pixels are 1000 * amplifier + row.
            await test(found, Sky())

    asyncio.run(work())


def test_no_exposure_waits_for_a_look_and_the_newest_image_is_next(tmp_path: Path) -> None:
    async def test(camera: Camera, sky: Sky) -> None:
        found = camera.exposure
        go, names = asyncio.Event(), []
        look = found.pipelines["look"]

        async def slow(*words: Any) -> Any:
            await go.wait()
            return await look(*words)

        found.pipelines["look"] = slow  # type: ignore[assignment]
        found.looked_at.subscribe(lambda live, reading, event: names.append(reading.value))
        for _ in range(4):
            await camera.done("expose", seconds=0.0, image_type="zero")
        go.set()
        await until(lambda: found.looked_at.value == "a.0004.fits", "the look at the newest image")
        assert names == ["a.0001.fits", "a.0004.fits"]

    look_with(tmp_path, test)


def test_a_look_that_fails_says_why_and_the_next_one_is_well(tmp_path: Path) -> None:
    async def test(camera: Camera, sky: Sky) -> None:
        found = camera.exposure
        look = found.pipelines["look"]

        async def broken(*words: Any) -> Any:
            raise MemoryError("no room for the frame")

        found.pipelines["look"] = broken  # type: ignore[assignment]
        await camera.done("expose", seconds=0.0, image_type="zero")
        await until(lambda: found.look_problem.value, "the problem")
        assert found.look_problem.value == "MemoryError: no room for the frame"
        found.pipelines["look"] = look
        await looked(camera, "zero")

    look_with(tmp_path, test)


def test_images_are_not_looked_at_while_that_is_off(tmp_path: Path) -> None:
    async def test(camera: Camera, sky: Sky) -> None:
        await camera.exposure.put("looks_at_images", False)
        await camera.done("expose", seconds=0.0, image_type="zero")
        await camera.exposure.put("looks_at_images", True)
        assert await looked(camera, "zero") == "a.0002.fits"
        assert camera.exposure.attributes["look_seconds"].value > 0.0

    look_with(tmp_path, test)


def test_stars_of_a_large_image_are_found_square_by_square_each_once() -> None:
    format = Format(2400, 0, 0, 16, 1300)
    geometry: Geometry = make_geometry(format, FocalPlane(1, 1, 2, 1, (0, 1)), whole(format))
    picture = np.random.default_rng(3).normal(500.0, 5.0, (1300, 2400))
    # Two of them lie on the borders of squares, one on that of the amplifiers.
    wanted = [(1024.6, 300.2), (2048.4, 1024.5), (1200.5, 700.0), (60.0, 1250.0)]
    y, x = np.mgrid[-15:16, -15:16]
    for column, row in wanted:
        left, top = round(column), round(row)
        distance = (x + left - column) ** 2 + (y + top - row) ** 2
        picture[top - 16 : top + 15, left - 16 : left + 15] += 4000.0 * np.exp(-distance / 8.0)
    amps = np.empty(geometry.amp_shape)
    amps[0, :, :1200], amps[1, :, :1200] = picture[:, :1200], picture[:, :1199:-1] + 200.0
    amps[0, :, 1200:], amps[1, :, 1200:] = 0.0, 200.0
    field = quick_look.star_field(amps.round().astype(np.uint16), geometry, np.array([0.0, 200.0]))
    found = sorted(zip(field.star_x, field.star_y, strict=True))
    np.testing.assert_allclose(found, sorted(wanted), atol=0.1)
    assert field.fwhm == pytest.approx(2.0 * 2.3548, rel=0.03)
