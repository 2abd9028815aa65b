"""Several exposures: sequences, guiding, step by step, focus runs."""

from __future__ import annotations

import asyncio
import itertools
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from astropy.io import fits

from devices.ccd import exposure_files
from devices.ccd.controller_link import Capabilities
from devices.ccd.exposure_state import ExposureState
from devices.core.errors import NotAllowedError, StorageError
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


def test_files_are_written_behind_the_next_exposure_and_one_that_fails_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = threading.Event()
    write = exposure_files.write_image

    async def test(camera: Camera) -> None:
        monkeypatch.setattr(exposure_files, "write_image", lambda *words: (held.wait(10.0), write(*words)))
        await camera.exposure.put("write_async", True)
        first = await camera.done("expose", seconds=0.0)
        assert (Path(first["file"]).name, first["number"]) == ("a.0001.fits", 1)
        assert list(camera.folder.glob("a.*")) == [] and camera.exposure.last_filename.value == ""
        # The second one is read, and then waits until the first one is written: no third image in memory.
        second = await camera.start("expose", seconds=0.0)
        await camera.reaches(ExposureState.WRITING)
        held.set()
        await camera.ended(second)
        await until(lambda: camera.exposure.images_taken.value == 2, "both are written")
        assert [each.name for each in sorted(camera.folder.glob("a.*"))] == ["a.0001.fits", "a.0002.fits"]

        monkeypatch.setattr(exposure_files, "write_image", full)
        assert (await camera.run("expose", seconds=0.0))["state"] == "DONE"
        await until(lambda: camera.exposure.unsaved.value == 1, "it is kept")
        assert "no space" in camera.exposure.last_error.value
        monkeypatch.undo()
        assert [Path(each).name for each in (await camera.done("rescue"))["files"]] == ["a.0003.fits"]

    def full(*words: object) -> None:
        raise StorageError("no space left on device")

    in_camera(tmp_path, test)


def test_test_images_are_overwritten_and_not_counted(tmp_path: Path) -> None:
    async def work() -> None:
        async with camera(tmp_path / "data") as found:
            assert not await found.exposure.run("check_image_ready")
            await found.exposure.put("test_image", True)
            assert found.exposure.filename.value.endswith("data/test.fits")
            for _ in range(2):
                assert (await found.done("expose", seconds=0.0))["file"].endswith("data/test.fits")
            assert [await found.exposure.run("check_image_ready") for _ in range(2)] == [True, False]
            await found.exposure.put("test_image", False)
            assert (await found.done("expose", seconds=0.0))["file"].endswith("data/a.0001.fits")

    asyncio.run(work())


def test_pixels_alone_are_announced_by_an_empty_file(tmp_path: Path) -> None:
    async def work() -> None:
        async with camera(tmp_path / "data", file_type="BIN", make_lockfile="true", overwrite="true") as found:
            await found.done("expose", seconds=0.0)
            pixels, announcement = found.folder / "a.0001.bin", found.folder / "a.0001.OK"
            assert pixels.stat().st_size == 2 * 4 * 34 * 20 and announcement.read_bytes() == b""
            await found.exposure.put("file_type", "MEF")
            await found.done("expose", seconds=0.0)
            assert not (found.folder / "a.0002.OK").exists()

    asyncio.run(work())


def test_a_scan_delays_its_rows_with_the_shutter_open(tmp_path: Path) -> None:
    async def work() -> None:
        async with camera(tmp_path / "data") as found:
            with pytest.raises(NotAllowedError, match="delays no rows"):
                await found.exposure.put("tdi_mode", True)
            found.link.capabilities = Capabilities(delays_rows=True)
            for name, value in (("tdi_mode", True), ("tdi_delay", 0.004), ("par_delay", 0.00025)):
                await found.exposure.put(name, value)
            await found.done("expose", seconds=0.0, image_type="object")
            await found.exposure.put("tdi_mode", False)
            await found.done("expose", seconds=0.0, image_type="object")
            words = ("set_row_delay", "set_shutter")
            assert [each for each in found.link.asked if each.startswith(words)] == [
                *("set_row_delay 0.004", "set_shutter True", "set_shutter False", "set_row_delay 0.00025")
            ]

    asyncio.run(work())


def test_an_image_that_a_killed_process_wrote_is_passed_over_once(tmp_path: Path) -> None:
    async def work() -> None:
        async with camera(tmp_path / "data") as found:
            there = found.folder / "a.0007.fits"  # written, and the next number not yet remembered
            there.write_bytes(b"an image")
            await found.exposure.put("image_number", 7)
            assert (await found.done("expose", seconds=0.0))["file"].endswith("data/a.0008.fits")
            assert there.read_bytes() == b"an image" and found.exposure.image_number.value == 9
            # Later a number that somebody has set is meant.
            await found.exposure.put("image_number", 7)
            status = await found.run("expose", seconds=0.0)
            assert "a.0007.fits exists, and overwrite is off" in status["error"]

    asyncio.run(work())
