"""What every make of controller does for a camera, over its own link: one table of makes, one camera, one detector."""

from __future__ import annotations

import asyncio
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from devices.ccd.exposure_state import ExposureState
from devices.core.errors import NotAllowedError
from tests.ccd.controllers import (
    MAKES,
    Bench,
    Make,
    binned,
    displacement,
    light,
    on_the_detector,
    section,
    with_camera,
)
from tests.support.running import until

each_make = pytest.mark.parametrize("make", MAKES, ids=lambda make: make.name)


@each_make
def test_light_is_in_images_with_an_open_shutter_alone_and_grows_with_the_time(make: Make, tmp_path: Path) -> None:
    async def test(bench: Bench) -> None:
        adu, header = {}, {}
        for name, seconds in (("zero", 0.0), ("dark", 0.2), ("flat", 0.2), ("object", 0.4)):
            result, path = await bench.expose(seconds, name, title=f"a {name}")
            assert result["exposure_time"] == pytest.approx(seconds, abs=0.05)
            header[name] = fits.getheader(path)
            adu[name] = light(path) / max(float(header[name]["EXPTIME"]), 0.2)
        for name in ("flat", "object"):
            assert adu[name] == pytest.approx(make.flat_adu_s, rel=0.25)
        dark_level = 0.0 if make.overscan else adu["zero"]
        assert adu["zero"] == pytest.approx(dark_level, abs=0.01 * make.flat_adu_s)
        assert adu["dark"] == pytest.approx(dark_level, abs=0.01 * make.flat_adu_s)
        assert [header[name]["IMAGETYP"] for name in adu] == ["zero", "dark", "flat", "object"]
        assert header["flat"]["OBJECT"] == "a flat"
        assert header["zero"]["EXPTIME"] == 0.0

    with_camera(make, tmp_path, test, make.flat)


@each_make
def test_headers_say_what_was_read_and_by_what(make: Make, tmp_path: Path) -> None:
    async def test(bench: Bench) -> None:
        _, path = await bench.expose(0.05, "object")
        geometry = bench.camera.exposure.setup.geometry()
        with fits.open(path, checksum=True) as file:
            file.verify("exception")
            assert file[0].header["CONTROLR"] == make.controlr
            assert len(file) == 1 + geometry.amps == 1 + file[0].header["NEXTEND"]
            seen = np.zeros((geometry.format.rows, geometry.format.columns), int)
            for unit in file[1:]:
                assert unit.data.shape == geometry.amp_shape[1:]
                assert unit.data.dtype == np.uint16
                seen[section(unit.header["DETSEC"])] += 1
                data = unit.data[section(unit.header["DATASEC"])]
                assert data.shape == (geometry.visible_rows, geometry.visible_columns)
                if make.overscan:
                    bias = unit.data[section(unit.header["BIASSEC"])]
                    assert bias.shape == (geometry.visible_rows, make.overscan)
                    assert bias.std() < data.std()
            # Each pixel of the detector was read once.
            assert (seen == 1).all()

    with_camera(make, tmp_path, test, make.stars)


@each_make
def test_windows_and_binned_images_show_the_part_of_the_picture_that_their_headers_say(
    make: Make, tmp_path: Path
) -> None:
    async def test(bench: Bench) -> None:
        exposure = bench.camera.exposure
        whole = on_the_detector((await bench.expose(0.3, "object"))[1])
        again = on_the_detector((await bench.expose(0.3, "object"))[1])
        assert displacement(again, whole) == (0, 0)
        columns, rows = exposure.setup.geometry().format.columns, exposure.setup.geometry().format.rows
        by_x, by_y = make.bins
        window = {"first_col": 11, "last_col": columns - 10, "first_row": 7, "last_row": rows - 6}
        if make.windows:
            await exposure.run("set_roi", window)
            part = on_the_detector((await bench.expose(0.3, "object"))[1])
            known = np.isfinite(part)
            assert 0.5 * columns * rows < known.sum() < columns * rows
            assert displacement(part, np.where(known, whole[: part.shape[0], : part.shape[1]], np.nan)) == (0, 0)
            await exposure.run("roi_reset")
        await exposure.run("set_roi", {"col_bin": by_x, "row_bin": by_y})
        _, path = await bench.expose(0.3, "object")
        await exposure.run("roi_reset")
        with fits.open(path) as file:
            assert file[1].header["CCDSUM"].split() == [str(by_x), str(by_y)]
            for unit in file[1:]:
                pixels = unit.data[section(unit.header["DATASEC"])].astype(float)
                assert displacement(pixels, binned(whole[section(unit.header["DETSEC"])], by_x, by_y), 1) == (0, 0)
        # The whole detector, as before.
        assert displacement(on_the_detector((await bench.expose(0.3, "object"))[1]), whole) == (0, 0)

    with_camera(make, tmp_path, test, make.stars)


@each_make
def test_all_kinds_of_files_hold_the_same_picture(make: Make, tmp_path: Path) -> None:
    async def test(bench: Bench) -> None:
        exposure = bench.camera.exposure
        whole = on_the_detector((await bench.expose(0.3, "object"))[1])
        geometry = exposure.setup.geometry()
        height = geometry.focal_plane.amps_y * geometry.rows.read
        width = geometry.focal_plane.amps_x * geometry.columns.read

        await exposure.put("file_type", "ASM")
        _, path = await bench.expose(0.3, "object")
        assert displacement(fits.getdata(path).astype(float), whole) == (0, 0)
        await exposure.put("compress", True)
        _, path = await bench.expose(0.3, "object")
        assert displacement(fits.getdata(path, 1).astype(float), whole) == (0, 0)
        await exposure.put("compress", False)
        await exposure.put("file_type", "FITS")
        _, path = await bench.expose(0.3, "object")
        flat_file = fits.getdata(path).astype(float)
        assert flat_file.shape == (height, width)
        await exposure.put("file_type", "BIN")
        _, path = await bench.expose(0.3, "object")
        raw = np.fromfile(path, "<u2").reshape(height, width).astype(float)
        assert displacement(raw, flat_file) == (0, 0)

    with_camera(make, tmp_path, test, make.stars)


@each_make
def test_a_pause_takes_no_light_and_an_early_readout_keeps_what_came(make: Make, tmp_path: Path) -> None:
    async def test(bench: Bench) -> None:
        camera = bench.camera
        identity = await camera.start("expose", seconds=0.6, image_type="object")
        await camera.reaches(ExposureState.EXPOSING)
        if make.pauses:
            await camera.exposure.run("pause")
            assert camera.exposure.exposure_state.value is ExposureState.PAUSED
            left = camera.exposure.exposure_time_remaining.value
            await asyncio.sleep(0.3)  # of the light that is not to come in
            assert camera.exposure.exposure_time_remaining.value == left
            await camera.exposure.run("resume")
        else:
            with pytest.raises(NotAllowedError, match="cannot pause"):
                await camera.exposure.run("pause")
        result = (await camera.ended(identity))["result"]
        assert result["exposure_time"] == pytest.approx(0.6, abs=0.1)
        assert light(Path(result["file"])) == pytest.approx(0.6 * make.flat_adu_s, rel=0.3)

        identity = await camera.start("expose", seconds=60.0, image_type="object")
        await until(lambda: 0.0 < camera.exposure.exposure_time_remaining.value < 59.7, "0.3 s")
        if not make.reads_early:
            with pytest.raises(NotAllowedError, match="cannot end an integration early"):
                await camera.exposure.run("start_readout")
            await camera.abort()
            return
        await camera.exposure.run("start_readout")
        result = (await camera.ended(identity))["result"]
        assert 0.3 < result["exposure_time"] < 20.0
        # The controller integrates a little longer than until it is told to stop.
        assert light(Path(result["file"])) / make.flat_adu_s == pytest.approx(result["exposure_time"], rel=0.3, abs=0.1)

    with_camera(make, tmp_path, test, make.flat)


@each_make
def test_an_abort_in_the_integration_or_the_readout_leaves_no_file_and_a_camera_that_works(
    make: Make, tmp_path: Path
) -> None:
    async def test(bench: Bench) -> None:
        camera = bench.camera
        pixels = camera.exposure.setup.geometry().pixels
        for state in (ExposureState.EXPOSING, ExposureState.READOUT):
            seconds = 60.0 if state is ExposureState.EXPOSING else 0.0
            identity = await camera.start("expose", seconds=seconds, image_type="object")
            await camera.reaches(state)
            if state is ExposureState.READOUT:
                await until(lambda: 0 < camera.exposure.pixels_remaining.value < pixels, "some pixels are read")
            await camera.abort()
            assert (await camera.ended(identity))["state"] == "ABORTED"
            assert camera.exposure.exposure_state.value is ExposureState.IDLE
            assert camera.controller.used_by.value == ""
        assert camera.exposure.unsaved.value == 0
        assert list(camera.folder.glob("*.fits")) == []
        # What was left of it on the detector, or in the link, is in no later image.
        await camera.exposure.run("set_roi", {"row_bin": 40})
        _, path = await bench.expose(0.0, "zero")
        assert path.name == "a.0001.fits"
        _, *shape = camera.exposure.setup.geometry().amp_shape
        with fits.open(path) as file:
            assert [list(unit.shape) for unit in file[1:]] == [shape] * camera.exposure.setup.geometry().amps

    with_camera(make, tmp_path, test, make.slow)


@each_make
def test_a_controller_that_dies_in_the_readout_costs_that_image_and_nothing_else(make: Make, tmp_path: Path) -> None:
    async def test(bench: Bench) -> None:
        camera = bench.camera
        pixels = camera.exposure.setup.geometry().pixels
        identity = await camera.start("expose", seconds=0.0, image_type="zero")
        await camera.reaches(ExposureState.READOUT)
        await until(lambda: 0 < camera.exposure.pixels_remaining.value < pixels, "some pixels are read")
        await bench.kill()
        status = await camera.ended(identity, 30.0)
        assert status["state"] == "FAILED"
        assert status["error"].startswith(("NotConnectedError", "TimeoutError"))
        await camera.reaches(ExposureState.IDLE)
        assert list(camera.folder.glob("*.fits")) == []
        status = await camera.run("expose", seconds=0.0, image_type="zero")
        assert status["error"].startswith("NotConnectedError")
        await bench.revive()
        await until(lambda: camera.controller.connected, "the controller is connected again", 20.0)
        await camera.exposure.run("set_roi", {"row_bin": 40})
        _, path = await bench.expose(0.0, "zero")
        assert path.name == "a.0001.fits"

    with_camera(make, tmp_path, test, make.slow)


@each_make
def test_an_image_that_has_been_read_is_written_whatever_becomes_of_the_controller(make: Make, tmp_path: Path) -> None:
    async def test(bench: Bench) -> None:
        for step in ("begin", "integrate", "readout"):
            await bench.camera.done(step)
        await bench.kill()
        result = await bench.camera.done("end")
        with fits.open(result["file"], checksum=True) as file:
            file.verify("exception")
            assert len(file) == 1 + bench.camera.exposure.setup.geometry().amps
        await bench.camera.reaches(ExposureState.IDLE)

    with_camera(make, tmp_path, test)
