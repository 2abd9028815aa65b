"""Exposures from their begin to their file: what is in it, what is asked of controller and lamps."""

from __future__ import annotations

import asyncio
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits

from devices.ccd.exposure_state import ExposureState
from devices.core.errors import BadValueError, NotAllowedError
from tests.ccd.camera import Camera, camera
from tests.support.running import until


def in_camera(folder: Path, test: Any, **properties: Any) -> None:
    async def work() -> None:
        async with camera(folder / "data", **properties) as found:
            await test(found)

    asyncio.run(work())


def test_an_exposure_is_a_file_with_the_pixels_of_each_amplifier(tmp_path: Path) -> None:
    async def test(camera: Camera) -> None:
        result = await camera.done("expose", seconds=0.05, image_type="flat", title="a 450 nm flat field image")
        assert result["file"] == str(tmp_path / "data" / "a.0001.fits")
        assert result["number"] == 1
        assert result["problems"] == []
        with fits.open(result["file"], checksum=True) as file:
            file.verify("exception")
            header = file[0].header
            assert (header["OBJECT"], header["IMAGETYP"]) == ("a 450 nm flat field image", "flat")
            assert (header["EXPTIME"], header["EXPREQ"]) == (0.05, 0.05)
            assert abs(header["DARKTIME"] - 0.05) < 0.5
            assert [each.data.shape for each in file[1:]] == [(20, 34)] * 4
            assert file[3].data[7, 2] == 2007
        assert camera.exposure.images_taken.value == 1
        assert camera.exposure.last_filename.value == result["file"]
        assert camera.exposure.filename.value.endswith("a.0002.fits")

    in_camera(tmp_path, test)


def test_the_times_of_a_header_are_full_and_belong_to_the_exposure(tmp_path: Path) -> None:
    async def test(camera: Camera) -> None:
        before = datetime.utcnow()
        result = await camera.done("expose", seconds=0.2, image_type="object")
        header = fits.getheader(result["file"])
        began = datetime.fromisoformat(header["DATE-OBS"])
        assert 0.0 <= (began - before).total_seconds() < 5.0
        ended = datetime.fromisoformat(header["DATE-END"])
        assert 0.19 < (ended - began).total_seconds() < 3.0
        assert header["UTC-OBS"] == header["DATE-OBS"][11:]
        assert header["MJD-OBS"] == pytest.approx(40587.0 + began.timestamp() / 86400.0, abs=0.5)
        assert header["TIMESYS"] == "UTC"
        assert isinstance(header["TIMEZONE"], float)

    in_camera(tmp_path, test)


def test_keywords_of_all_tools_stand_in_groups(tmp_path: Path) -> None:
    async def test(camera: Camera) -> None:
        await camera.instrument.put("wavelength", 450.0)
        await camera.instrument.run("set_keyword", {"keyword": "observer", "value": "M. L.", "comment": "who"})
        await camera.telescope.run("point", {"right_ascension": 6.752477, "declination": -16.716})
        await until(lambda: not camera.telescope.operations.active, "it points to Sirius")
        await until(lambda: camera.tempcon.camera_temperature.reading.value is not None, "temperatures")
        result = await camera.done("expose", seconds=0.0, image_type="zero")
        header = fits.getheader(result["file"])
        assert header["WAVLNGTH"] == 450.0
        assert header["OBSERVER"] == "M. L."
        assert header["RA"] == "06:45:08.917"
        assert header["DEC"] == "-16:42:57.60"
        assert (header["CAMTEMP"], header["DEWTEMP"]) == (-101.5, -180.25)
        order = [each for each in header if each in ("EXPTIME", "FILTER", "RA", "CAMTEMP", "N-AMPS-X")]
        assert order == ["EXPTIME", "FILTER", "RA", "CAMTEMP", "N-AMPS-X"]
        first = fits.getheader(result["file"], 1)
        assert first["CRVAL1"] == pytest.approx(6.752477 * 15.0)
        assert first["CRVAL2"] == pytest.approx(-16.716)

    in_camera(tmp_path, test)


def test_templates_are_part_of_every_header(tmp_path: Path) -> None:
    templates = tmp_path / "templates"
    templates.mkdir()
    (templates / "system.txt").write_text("# of the site\nOBSERVAT Steward / whose\nCOMMENT handle with care\n")
    (templates / "dome.txt").write_text("DOME open\n")

    async def test(camera: Camera) -> None:
        await camera.exposure.run("read_header", {"path": "dome.txt"})
        with pytest.raises(NotAllowedError, match="outside"):
            await camera.exposure.run("read_header", {"path": "../data/secret"})
        with pytest.raises(BadValueError, match="No such file"):
            await camera.exposure.run("read_header", {"path": "roof.txt"})
        header = fits.getheader((await camera.done("focus_run", seconds=0.0, steps=2))["file"])
        assert (header["OBSERVAT"], header["DOME"], header["FOCSTEPS"]) == ("Steward", "open", 2)
        assert "handle with care" in header["COMMENT"]
        assert list(header).index("OBSERVAT") < list(header).index("EXPTIME")

    in_camera(tmp_path, test, system_folder=str(templates), header_file="system.txt")


@pytest.mark.parametrize(
    ("image_type", "seconds", "opens"),
    [("zero", 0.0, False), ("dark", 0.05, False), ("object", 0.05, True), ("flat", 0.05, True), ("ThAr", 0.05, True)],
)
def test_the_shutter_opens_for_light_only_and_a_zero_takes_no_time(
    tmp_path: Path, image_type: str, seconds: float, opens: bool
) -> None:
    async def test(camera: Camera) -> None:
        await camera.done("expose", seconds=0.05, image_type=image_type)
        assert f"start_exposure {seconds} {opens}" in camera.link.asked
        assert camera.exposure.exposure_time.value == 0.05
        assert not camera.link.shutter

    in_camera(tmp_path, test)


def test_lamps_burn_for_a_comparison_and_are_off_after_it(tmp_path: Path) -> None:
    async def test(camera: Camera) -> None:
        burnt: list[tuple[str, bool]] = []
        camera.instrument.comps_burn.subscribe(
            lambda live, reading, event: burnt.append((camera.exposure.exposure_state.value.name, reading.value))
        )
        result = await camera.done("expose", seconds=0.05, image_type="thar")
        assert burnt == [("SETUP", True), ("EXPOSING", False)]
        header = fits.getheader(result["file"])
        assert (header["IMAGETYP"], header["COMPLAMP"]) == ("comp", "ThAr")
        # A dark forgets the lamps.
        await camera.done("expose", seconds=0.0, image_type="dark")
        assert camera.instrument.active_comps.value == ()

    in_camera(tmp_path, test)


def test_the_shutter_is_open_during_the_readout_of_a_ramp(tmp_path: Path) -> None:
    async def test(camera: Camera) -> None:
        await camera.done("expose", seconds=0.0, image_type="ramp")
        begin = camera.link.asked.index("set_shutter True")
        assert camera.link.asked[begin : begin + 3] == ["set_shutter True", "read_image", "set_shutter False"]
        assert "ramp" in camera.exposure.image_types.value

    in_camera(tmp_path, test)


def test_the_shutter_of_the_instrument_moves_when_it_is_told_to(tmp_path: Path) -> None:
    async def test(camera: Camera) -> None:
        moves: list[bool] = []
        camera.instrument.shutter_open.subscribe(lambda live, reading, event: moves.append(reading.value))
        await camera.done("expose", seconds=0.02, image_type="object")
        await camera.done("expose", seconds=0.02, image_type="dark")
        assert moves == [True, False]

    in_camera(tmp_path, test, instrument_shutter="true")


def test_the_controller_is_reset_once_before_its_first_exposure(tmp_path: Path) -> None:
    async def test(camera: Camera) -> None:
        for _ in range(2):
            await camera.done("expose", seconds=0.0, image_type="zero")
        assert camera.link.asked.count("reset") == 1
        assert camera.link.asked[0] == "reset"
        assert camera.link.asked.count("flush 1") == 2

    in_camera(tmp_path, test)


def test_a_window_is_read_and_written_binned(tmp_path: Path) -> None:
    async def test(camera: Camera) -> None:
        await camera.exposure.run(
            "set_roi", {"first_col": 3, "last_col": 42, "first_row": 5, "last_row": 24, "col_bin": 2}
        )
        assert camera.exposure.roi.value.tolist() == [3, 42, 5, 24, 2, 1]
        result = await camera.done("expose", seconds=0.0, image_type="zero")
        geometry = camera.link.geometry
        assert geometry is not None
        assert (geometry.columns.skip, geometry.columns.binning) == (2, 2)
        with fits.open(result["file"]) as file:
            assert file[1].data.shape == geometry.amp_shape[1:]
        await camera.exposure.run("roi_reset")
        assert camera.exposure.roi.value.tolist() == [1, 60, 1, 40, 1, 1]

    in_camera(tmp_path, test)


def test_a_mosaic_of_two_detectors_is_read(tmp_path: Path) -> None:
    async def test(camera: Camera) -> None:
        await camera.exposure.run(
            "set_format", dict(ns_total=120, ns_predark=0, ns_underscan=0, ns_overscan=4, np_total=40)
        )
        flips = [0, 1, 0, 1, 2, 3, 2, 3]
        await camera.exposure.run(
            "set_focalplane", dict(numdet_x=2, numdet_y=1, numamps_x=4, numamps_y=2, amp_cfg=flips)
        )
        result = await camera.done("expose", seconds=0.0, image_type="zero")
        with fits.open(result["file"]) as file:
            file.verify("exception")
            assert (file[0].header["N-DET-X"], len(file)) == (2, 9)
            assert file[8].data[3, 3] == 7003

    in_camera(tmp_path, test)


def test_the_next_image_follows_the_rules_of_names(tmp_path: Path) -> None:
    async def test(camera: Camera) -> None:
        exposure = camera.exposure
        await exposure.put("auto_name", True)
        await exposure.put("image_number", 41)
        result = await camera.done("expose", seconds=0.0, image_type="zero", title="x")
        assert Path(result["file"]).name == "a.ZERO.0041.fits"
        await exposure.run("set_filename", {"filename": str(tmp_path / "data" / "night2.fits")})
        await exposure.put("auto_name", False)
        await exposure.put("include_number", False)
        await exposure.put("file_type", "BIN")
        result = await camera.done("expose", seconds=0.0, image_type="zero")
        assert Path(result["file"]).name == "night2.bin"
        assert np.fromfile(result["file"], "<u2").size == 4 * 34 * 20
        result = await camera.done("test", seconds=0.0)
        assert Path(result["file"]).name == "test.bin"
        assert exposure.image_number.value == 42

    in_camera(tmp_path, test)


def test_a_test_image_is_overwritten_and_changes_no_setting(tmp_path: Path) -> None:
    async def test(camera: Camera) -> None:
        await camera.exposure.put("image_type", "flat")
        await camera.exposure.put("exposure_time", 7.5)
        for _ in range(2):
            result = await camera.done("test", seconds=0.03, open_shutter=True)
        assert Path(result["file"]).name == "test.fits"
        assert fits.getheader(result["file"])["IMAGETYP"] == "object"
        assert (camera.exposure.image_type.value, camera.exposure.exposure_time.value) == ("flat", 7.5)
        assert camera.exposure.image_number.value == 1

    in_camera(tmp_path, test)


def test_the_display_shows_the_image_as_it_lies_on_the_detector(tmp_path: Path) -> None:
    async def test(camera: Camera) -> None:
        await camera.done("expose", seconds=0.0, image_type="zero")
        display = camera.display
        await until(lambda: display.image.reading.value is not None, "the picture")
        picture = display.image.value
        # Overscan is left away, and the rows of the upper amplifiers are read from above.
        assert picture.shape == (40, 60)
        assert (picture[5, 2], picture[5, 40]) == (5, 1005)
        assert (picture[39, 2], picture[38, 40]) == (2000, 3001)
        await display.run("set_region", dict(first_col=1, last_col=30, first_row=1, last_row=20))
        assert (display.mean.value, display.minimum.value, display.maximum.value) == (9.5, 0.0, 19.0)
        assert display.full_image.reading.value is None

    in_camera(tmp_path, test)


def test_the_progress_of_an_exposure_is_its_time_and_its_pixels(tmp_path: Path) -> None:
    async def test(camera: Camera) -> None:
        camera.link.holds["read_image"] = asyncio.Event()
        shown: list[float] = []
        camera.exposure.attributes["progress"].subscribe(lambda live, reading, event: shown.append(reading.value))
        identity = await camera.start("expose", seconds=0.5, image_type="object")
        await camera.reaches(ExposureState.EXPOSING)
        await until(lambda: 0.0 < camera.exposure.exposure_time_remaining.value < 0.45, "the time that is left")
        await camera.reaches(ExposureState.READOUT)
        await until(lambda: camera.exposure.pixels_remaining.value == 4 * 34 * 20, "the pixels that are left")
        camera.link.holds["read_image"].set()
        assert (await camera.ended(identity))["state"] == "DONE"
        assert shown == sorted(shown)
        assert max(each for each in shown if each < 99.0) > 10.0
        assert camera.exposure.pixels_remaining.value == 0

    in_camera(tmp_path, test)
