"""Several exposures: sequences, guiding, step by step, focus runs."""

from __future__ import annotations

import asyncio
import itertools
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from astropy.io import fits

from devices.ccd.exposure_state import ExposureState
from tests.ccd.camera import REFUSED, Camera, camera
from tests.support.running import until


def in_camera(folder: Path, test: Any, **properties: Any) -> None:
    async def work() -> None:
        async with camera(folder / "data", **properties) as found:
            await test(found)

    asyncio.run(work())


def test_a_sequence_takes_so_many_images_with_a_pause_between(tmp_path: Path) -> None:
    async def test(camera: Camera) -> None:
        await camera.exposure.put("image_type", "dark")
        await camera.exposure.put("exposure_time", 0.02)
        begins: list[float] = []
        camera.exposure.exposure_state.subscribe(
            lambda live, reading, event: (
                begins.append(time.monotonic()) if reading.value is ExposureState.SETUP else None
            )
        )
        result = await camera.done("sequence", count=3, delay=0.4)
        assert [Path(each).name for each in result["files"]] == ["a.0001.fits", "a.0002.fits", "a.0003.fits"]
        assert result["stopped"] is False
        # The delay lies between the images.
        assert all(later - earlier >= 0.4 for earlier, later in itertools.pairwise(begins))
        assert camera.exposure.sequence_number.value == 3
        assert (camera.exposure.sequence_total.value, camera.exposure.sequence_delay.value) == (3, 0.4)

    in_camera(tmp_path, test)


@pytest.mark.parametrize(("flush", "flushes"), [(0, 3), (1, 1), (2, 0)])
def test_a_sequence_clears_the_detector_as_it_is_told(tmp_path: Path, flush: int, flushes: int) -> None:
    async def test(camera: Camera) -> None:
        await camera.done("sequence", count=3, flush=flush)
        assert camera.link.asked.count("flush 1") == flushes

    in_camera(tmp_path, test)


def test_lamps_burn_through_a_whole_sequence(tmp_path: Path) -> None:
    async def test(camera: Camera) -> None:
        await camera.exposure.put("image_type", "quartz")
        await camera.exposure.put("exposure_time", 0.02)
        burnt: list[bool] = []
        camera.instrument.comps_burn.subscribe(lambda live, reading, event: burnt.append(reading.value))
        result = await camera.done("sequence", count=3)
        assert burnt == [True, False]
        assert {fits.getheader(each)["COMPLAMP"] for each in result["files"]} == {"quartz"}

    in_camera(tmp_path, test)


def test_a_sequence_that_is_stopped_finishes_the_image_that_it_takes(tmp_path: Path) -> None:
    async def test(camera: Camera) -> None:
        await camera.exposure.put("image_type", "ThAr")
        await camera.exposure.put("exposure_time", 0.3)
        identity = await camera.start("sequence", count=50)
        await until(lambda: camera.exposure.sequence_number.value == 2, "the second image")
        await camera.exposure.run("stop_sequence")
        result = (await camera.ended(identity))["result"]
        assert (result["images"], result["stopped"]) == (2, True)
        assert fits.getheader(result["files"][1])["EXPTIME"] == 0.3
        assert not camera.instrument.comps_burn.value
        assert not camera.exposure.is_sequence.value

    in_camera(tmp_path, test)


@pytest.mark.parametrize("during", ["exposure", "delay"])
def test_an_abort_ends_a_sequence_at_once(tmp_path: Path, during: str) -> None:
    async def test(camera: Camera) -> None:
        await camera.exposure.put("image_type", "ThAr")
        await camera.exposure.put("exposure_time", 30.0 if during == "exposure" else 0.01)
        identity = await camera.start("sequence", count=50, delay=60.0)
        if during == "exposure":
            await camera.reaches(ExposureState.EXPOSING)
        else:
            await until(lambda: camera.exposure.images_taken.value == 1, "the first image")
            await camera.reaches(ExposureState.IDLE)
        await camera.abort()
        assert (await camera.ended(identity))["state"] == "ABORTED"
        assert not camera.exposure.is_sequence.value
        assert not camera.instrument.comps_burn.value
        await camera.done("expose", seconds=0.0, image_type="zero")

    in_camera(tmp_path, test)


def test_a_sequence_ends_with_the_first_image_that_fails(tmp_path: Path) -> None:
    async def test(camera: Camera) -> None:
        (tmp_path / "data" / "a.0003.fits").touch()
        status = await camera.run("sequence", count=5)
        assert "a.0003.fits exists" in status["error"]
        assert camera.exposure.images_taken.value == 2
        await camera.exposure.put("image_number", 4)
        camera.link.faults["read_image"] = REFUSED
        assert (await camera.run("sequence", count=5))["state"] == "FAILED"
        assert camera.exposure.exposure_state.value is ExposureState.IDLE

    in_camera(tmp_path, test)


def test_guiding_goes_on_until_it_is_stopped(tmp_path: Path) -> None:
    async def test(camera: Camera) -> None:
        await camera.exposure.put("save_file", False)
        await camera.exposure.put("exposure_time", 0.01)
        await camera.exposure.put("image_type", "flat")
        identity = await camera.start("guide")
        await until(lambda: camera.exposure.images_taken.value >= 3, "3 guide images")
        assert camera.exposure.is_guiding.value
        await camera.exposure.run("stop_sequence")
        assert (await camera.ended(identity))["result"]["images"] == camera.exposure.images_taken.value
        assert list((tmp_path / "data").glob("*.fits")) == []
        assert camera.exposure.image_type.value == "flat"
        assert (await camera.done("guide", count=2))["images"] == 2

    in_camera(tmp_path, test)


def test_an_exposure_step_by_step_is_an_exposure(tmp_path: Path) -> None:
    async def test(camera: Camera) -> None:
        await camera.done("begin", seconds=0.05, image_type="object", title="M 51")
        assert camera.exposure.exposure_state.value is ExposureState.READY
        await camera.done("integrate")
        assert camera.exposure.exposure_state.value is ExposureState.EXPOSED
        await camera.done("parshift", rows=-3)
        await camera.done("readout")
        result = await camera.done("end")
        assert camera.exposure.exposure_state.value is ExposureState.IDLE
        assert fits.getheader(result["file"])["OBJECT"] == "M 51"
        assert camera.link.asked[-2:] == ["shift_rows -3", "read_image"]

    in_camera(tmp_path, test)


def test_a_focus_run_is_one_image_of_shifted_exposures(tmp_path: Path) -> None:
    async def test(camera: Camera) -> None:
        await camera.instrument.put("focus", 1200.0)
        result = await camera.done("focus_run", seconds=0.02, steps=4, step=50.0, shift=7)
        assert result["positions"] == [1200.0, 1250.0, 1300.0, 1350.0]
        shifts = [each for each in camera.link.asked if each.startswith("shift_rows")]
        assert shifts == ["shift_rows 7", "shift_rows 7", "shift_rows 14"]
        assert sum(each.startswith("start_exposure") for each in camera.link.asked) == 4
        assert camera.instrument.focus.value == 1200.0
        header = fits.getheader(result["file"])
        assert [header[each] for each in ("FOCSTART", "FOCSTEP", "FOCSHIFT", "FOCSTEPS")] == [1200.0, 50.0, 7, 4]
        assert header["EXPTIME"] == pytest.approx(0.08)
        # The settings of one run are not those of the next.
        await camera.done("focus_run", seconds=0.0, steps=2)
        assert camera.link.asked[-1] == "read_image"
        assert "shift_rows 20" in camera.link.asked

    in_camera(tmp_path, test)


def test_a_focus_run_that_is_aborted_leaves_the_focus_where_it_was(tmp_path: Path) -> None:
    async def test(camera: Camera) -> None:
        await camera.telescope.put("focus", 33.0)
        identity = await camera.start("focus_run", seconds=20.0, steps=3, focuser="telescope")
        await camera.reaches(ExposureState.EXPOSING)
        await camera.exposure.run("start_readout")
        await until(lambda: camera.telescope.focus.value == 63.0, "the second position")
        await camera.abort()
        assert (await camera.ended(identity))["state"] == "ABORTED"
        assert camera.telescope.focus.value == 33.0
        await camera.reaches(ExposureState.IDLE)
        await camera.done("expose", seconds=0.0, image_type="zero")

    in_camera(tmp_path, test)


def test_a_controller_that_cannot_shift_rows_takes_no_focus_run(tmp_path: Path) -> None:
    async def test(camera: Camera) -> None:
        camera.link.capabilities = replace(camera.link.capabilities, moves_parallel=False)
        status = await camera.run("focus_run", seconds=0.1)
        assert "cannot shift rows" in status["error"]
        assert camera.link.asked == []

    in_camera(tmp_path, test)
