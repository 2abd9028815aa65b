"""Aborts, pauses and faults at every stage: the camera comes back to Idle, no image is lost, the next one works."""

from __future__ import annotations

import asyncio
import errno
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits

import devices.ccd.exposure_files as exposure_files
from devices.ccd.exposure_state import ExposureState
from devices.core.errors import BusyError, NotAllowedError, NotConnectedError, RangeError, RefusedError
from tests.ccd.camera import REFUSED, Camera, Controller, camera
from tests.support.running import running, until

#: Where an exposure can be held, and the state that it shows then.
STAGES = {
    "reset": ExposureState.SETUP,
    "set_geometry": ExposureState.SETUP,
    "flush": ExposureState.SETUP,
    "start_exposure": ExposureState.EXPOSING,
    "remaining": ExposureState.EXPOSING,
    "read_image": ExposureState.READOUT,
}


def in_camera(folder: Path, test: Any, **properties: Any) -> None:
    async def work() -> None:
        async with camera(folder / "data", **properties) as found:
            await test(found)

    asyncio.run(work())


async def works_again(camera: Camera) -> None:
    """The state is a defined one, nothing is open or burns, and the next exposure is as good as any."""
    await camera.reaches(ExposureState.IDLE)
    await until(lambda: camera.exposure.state.name == "ON", "the state ON")
    assert not camera.link.shutter
    assert not camera.instrument.comps_burn.value
    assert camera.controller.used_by.value == ""
    result = await camera.done("expose", seconds=0.01, image_type="object")
    with fits.open(result["file"], checksum=True) as file:
        assert file[4].data[19, 0] == 3019


@pytest.mark.parametrize("stage", STAGES)
def test_an_abort_ends_an_exposure_at_every_stage(tmp_path: Path, stage: str) -> None:
    async def test(camera: Camera) -> None:
        camera.link.holds[stage] = asyncio.Event()
        seconds = 30.0 if stage == "remaining" else 0.0
        identity = await camera.start("expose", seconds=seconds, image_type="ThAr")
        await until(lambda: any(each.startswith(stage) for each in camera.link.asked), stage)
        assert camera.exposure.exposure_state.value is STAGES[stage]
        await camera.abort()
        assert (await camera.ended(identity))["state"] == "ABORTED"
        assert camera.link.asked[-1] == "abort"
        assert camera.exposure.last_error.value == "aborted"
        assert list((tmp_path / "data").glob("*.fits")) == []
        camera.link.holds.clear()
        await works_again(camera)

    in_camera(tmp_path, test)


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("fault", [REFUSED, NotConnectedError("the line is dead")], ids=["refused", "gone"])
def test_a_controller_that_fails_at_any_stage_leaves_the_camera_idle(
    tmp_path: Path, stage: str, fault: Exception
) -> None:
    async def test(camera: Camera) -> None:
        camera.link.faults[stage] = fault
        status = await camera.run("expose", seconds=0.2, image_type="ThAr")
        assert status["state"] == "FAILED"
        assert str(fault) in status["error"]
        assert camera.exposure.last_error.value == status["error"]
        assert not camera.exposure.completed.value
        await works_again(camera)
        assert camera.exposure.last_error.value == ""

    in_camera(tmp_path, test)


def test_an_abort_while_paused_ends_the_exposure(tmp_path: Path) -> None:
    async def test(camera: Camera) -> None:
        identity = await camera.start("expose", seconds=30.0, image_type="object")
        await camera.reaches(ExposureState.EXPOSING)
        await camera.exposure.run("pause")
        await camera.abort()
        assert (await camera.ended(identity))["state"] == "ABORTED"
        await works_again(camera)

    in_camera(tmp_path, test)


def test_an_abort_while_the_file_is_written_leaves_a_whole_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = exposure_files.write_image

    async def test(camera: Camera) -> None:
        loop, begun = asyncio.get_running_loop(), asyncio.Event()
        goes_on = asyncio.Event()

        def slow(*words: Any) -> None:
            loop.call_soon_threadsafe(begun.set)
            asyncio.run_coroutine_threadsafe(goes_on.wait(), loop).result(10.0)
            real(*words)

        monkeypatch.setattr(exposure_files, "write_image", slow)
        identity = await camera.start("expose", seconds=0.0, image_type="zero")
        await begun.wait()
        await camera.abort()
        with pytest.raises(BusyError, match="Writing"):
            camera.exposure.engine.check_idle()
        goes_on.set()
        assert (await camera.ended(identity))["state"] == "ABORTED"
        assert fits.getdata(tmp_path / "data" / "a.0001.fits", 2)[3, 3] == 1003
        monkeypatch.setattr(exposure_files, "write_image", real)
        await works_again(camera)

    in_camera(tmp_path, test)


def test_a_pause_stops_the_clock_and_shuts_the_shutter(tmp_path: Path) -> None:
    async def test(camera: Camera) -> None:
        identity = await camera.start("expose", seconds=0.6, image_type="object")
        await camera.reaches(ExposureState.EXPOSING)
        await camera.exposure.run("pause")
        assert camera.exposure.exposure_state.value is ExposureState.PAUSED
        assert camera.exposure.exposure_flag.value == 6
        assert not camera.link.shutter
        left = await camera.link.remaining()
        await camera.exposure.run("pause")  # once more does nothing
        await asyncio.sleep(0.5)  # the time of the pause is what is measured
        assert await camera.link.remaining() == left
        await camera.exposure.run("resume")
        assert camera.exposure.exposure_state.value is ExposureState.EXPOSING
        result = (await camera.ended(identity))["result"]
        header = fits.getheader(result["file"])
        assert header["EXPTIME"] == 0.6
        assert header["DARKTIME"] >= 1.1
        assert camera.exposure.paused_time.value >= 0.5

    in_camera(tmp_path, test)


@pytest.mark.parametrize("is_paused", [False, True])
def test_an_early_readout_has_the_time_that_was_integrated(tmp_path: Path, is_paused: bool) -> None:
    async def test(camera: Camera) -> None:
        identity = await camera.start("expose", seconds=60.0, image_type="object")
        await camera.reaches(ExposureState.EXPOSING)
        await until(lambda: camera.exposure.exposure_time_remaining.value <= 59.8, "0.2 s")
        if is_paused:
            await camera.exposure.run("pause")
        await camera.exposure.run("start_readout")
        result = (await camera.ended(identity))["result"]
        header = fits.getheader(result["file"])
        assert 0.2 <= header["EXPTIME"] < 20.0
        assert header["EXPREQ"] == 60.0
        assert "end_exposure" in camera.link.asked

    in_camera(tmp_path, test)


def test_what_is_asked_at_the_wrong_time_is_refused_and_disturbs_nothing(tmp_path: Path) -> None:
    async def test(camera: Camera) -> None:
        for name in ("pause", "resume", "start_readout", "stop_sequence"):
            with pytest.raises(NotAllowedError):
                await camera.exposure.run(name)
        for name in ("integrate", "readout", "end"):
            status = await camera.run(name)
            assert "NotAllowedError" in status["error"]
        camera.link.holds["read_image"] = asyncio.Event()
        identity = await camera.start("expose", seconds=0.0, image_type="zero")
        await camera.reaches(ExposureState.READOUT)
        with pytest.raises(NotAllowedError, match="Reading"):
            await camera.exposure.run("pause")
        with pytest.raises(BusyError, match="expose runs"):
            await camera.start("expose")
        with pytest.raises(BusyError):
            await camera.exposure.run("set_shutter", {"is_open": True})
        with pytest.raises(BusyError):
            await camera.controller.run("set_shutter", {"is_open": True})
        reset = await camera.controller.run("reset")
        await until(lambda: camera.controller.operations.status(reset)["state"] == "FAILED", "reset is refused")
        camera.link.holds["read_image"].set()
        assert (await camera.ended(identity))["state"] == "DONE"

    in_camera(tmp_path, test)


def test_a_pause_that_the_controller_refuses_does_not_end_the_exposure(tmp_path: Path) -> None:
    async def test(camera: Camera) -> None:
        camera.link.faults["pause"] = REFUSED
        identity = await camera.start("expose", seconds=0.4, image_type="object")
        await camera.reaches(ExposureState.EXPOSING)
        with pytest.raises(RefusedError, match="3F"):
            await camera.exposure.run("pause")
        assert (await camera.ended(identity))["state"] == "DONE"

    in_camera(tmp_path, test)


@pytest.mark.parametrize(
    ("name", "arguments", "what"),
    [
        ("expose", {"seconds": 90_000.0}, "RangeError: seconds = 90000.0 s is outside"),
        ("expose", {"image_type": "neon"}, "RangeError: image_type = 'neon' is none of zero, object"),
        ("test", {"seconds": 90_000.0}, "RangeError: seconds = 90000.0 s"),
        ("sequence", {"count": 0}, "RangeError: count = 0"),
    ],
)
def test_wrong_arguments_are_refused_before_anything_moves(
    tmp_path: Path, name: str, arguments: dict[str, Any], what: str
) -> None:
    async def test(camera: Camera) -> None:
        status = await camera.run(name, **arguments)
        assert (status["state"], status["error"][: len(what)]) == ("FAILED", what)
        assert camera.link.asked == []
        assert camera.states == []

    in_camera(tmp_path, test)


@pytest.mark.parametrize(
    "roi", [{"first_col": 0}, {"last_col": 61}, {"first_row": 30, "last_row": 20}, {"col_bin": 31}, {"row_bin": 0}]
)
def test_a_window_that_does_not_exist_is_refused_and_the_old_one_stays(tmp_path: Path, roi: dict[str, int]) -> None:
    async def test(camera: Camera) -> None:
        with pytest.raises(RangeError, match=r"col|row"):
            await camera.exposure.run("set_roi", roi)
        with pytest.raises(RangeError):
            await camera.exposure.put("roi", [1, 61, 1, 40, 1, 1])
        assert camera.exposure.roi.value.tolist() == [1, 60, 1, 40, 1, 1]

    in_camera(tmp_path, test)


def test_an_existing_file_is_refused_before_the_shutter_opens(tmp_path: Path) -> None:
    async def test(camera: Camera) -> None:
        (tmp_path / "data" / "a.0001.fits").write_text("somebody's image")
        status = await camera.run("expose", seconds=0.0)
        assert status["error"].startswith("NotAllowedError") and "exists" in status["error"]
        assert camera.link.asked == []
        await camera.exposure.put("image_number", 2)
        await works_again(camera)
        assert (tmp_path / "data" / "a.0001.fits").read_text() == "somebody's image"

    in_camera(tmp_path, test)


def test_a_folder_that_has_vanished_is_refused_before_the_shutter_opens(tmp_path: Path) -> None:
    async def test(camera: Camera) -> None:
        night = tmp_path / "data" / "night"
        night.mkdir()
        await camera.exposure.put("image_folder", str(night))
        night.rmdir()
        status = await camera.run("expose", seconds=0.0)
        assert "is not a folder" in status["error"]
        assert camera.link.asked == []
        with pytest.raises(NotAllowedError, match="outside the folders"):
            await camera.exposure.put("image_folder", str(tmp_path))

    in_camera(tmp_path, test)


def test_an_image_that_cannot_be_written_is_kept_and_rescued(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = exposure_files.write_image

    async def test(camera: Camera) -> None:
        def full(path: Path, *words: Any) -> None:
            if path.parent == tmp_path / "data":
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
            real(path, *words)

        monkeypatch.setattr(exposure_files, "write_image", full)
        status = await camera.run("expose", seconds=0.0, image_type="zero", title="precious")
        assert "No space left" in status["error"]
        assert camera.exposure.exposure_state.value is ExposureState.IDLE
        assert camera.exposure.unsaved.value == 1
        assert len(list((tmp_path / "spool").glob("*.fits"))) == 1
        # Still full: it stays kept.
        assert (await camera.run("rescue"))["state"] == "FAILED"
        assert camera.exposure.unsaved.value == 1
        monkeypatch.setattr(exposure_files, "write_image", real)
        (file,) = (await camera.done("rescue"))["files"]
        assert file == str(tmp_path / "data" / "a.0001.fits")
        assert fits.getheader(file)["OBJECT"] == "precious"
        assert camera.exposure.unsaved.value == 0
        assert list((tmp_path / "spool").glob("*.fits")) == []
        await camera.exposure.put("image_number", 2)
        await works_again(camera)

    in_camera(tmp_path, test)


def test_images_that_fit_no_disk_stay_in_memory_until_there_are_too_many(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = exposure_files.write_image

    async def test(camera: Camera) -> None:
        def full(path: Path, *words: Any) -> None:
            raise OSError(errno.EIO, os.strerror(errno.EIO), str(path))

        monkeypatch.setattr(exposure_files, "write_image", full)
        for _ in range(4):
            assert (await camera.run("expose", seconds=0.0))["state"] == "FAILED"
        assert camera.exposure.unsaved.value == 4
        asked = len(camera.link.asked)
        status = await camera.run("expose", seconds=0.0)
        assert "4 images are in memory only" in status["error"]
        assert len(camera.link.asked) == asked
        monkeypatch.setattr(exposure_files, "write_image", real)
        files = (await camera.done("rescue"))["files"]
        assert [Path(each).name for each in files] == [
            "a.0001.fits",
            *(f"a.0001-rescued-{number}.fits" for number in (1, 2, 3)),
        ]
        await camera.exposure.put("image_number", 7)
        await works_again(camera)

    in_camera(tmp_path, test)


def test_an_image_left_by_a_process_that_ended_is_found_by_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = exposure_files.write_image

    async def fails(camera: Camera) -> None:
        def full(path: Path, *words: Any) -> None:
            if path.parent == tmp_path / "data":
                raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(path))
            real(path, *words)

        monkeypatch.setattr(exposure_files, "write_image", full)
        assert (await camera.run("expose", seconds=0.0, image_type="zero"))["state"] == "FAILED"

    async def finds(camera: Camera) -> None:
        assert camera.exposure.unsaved.value == 1
        (file,) = (await camera.done("rescue"))["files"]
        assert fits.getdata(file, 1)[11, 0] == 11

    in_camera(tmp_path, fails)
    monkeypatch.setattr(exposure_files, "write_image", real)
    in_camera(tmp_path, finds)


def test_words_of_the_controller_that_make_no_image_are_kept_as_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def test(camera: Camera) -> None:
        await camera.done("begin", seconds=0.0, image_type="zero")
        await camera.done("integrate")
        geometry = camera.link.geometry
        assert geometry is not None
        await camera.exposure.run("set_roi", {"last_row": 20})
        camera.link.geometry = camera.exposure.setup.geometry()  # the controller believes something else
        status = await camera.run("readout")
        assert status["error"].startswith("ProtocolError: the image has 1360 pixels, 2720 were asked for")
        await camera.reaches(ExposureState.IDLE)
        (path,) = (tmp_path / "spool").glob("*.npy")
        assert np.load(path).size == 1360
        await camera.exposure.run("discard_unsaved")
        assert list((tmp_path / "spool").iterdir()) == []
        await camera.exposure.run("roi_reset")
        await works_again(camera)

    in_camera(tmp_path, test)


def test_a_step_by_step_exposure_can_be_abandoned_between_its_steps(tmp_path: Path) -> None:
    async def test(camera: Camera) -> None:
        for steps in (["begin"], ["begin", "integrate"], ["begin", "integrate", "readout"]):
            for step in steps:
                await camera.done(step)
            status = await camera.run("expose")
            assert status["error"].startswith("BusyError: an exposure is under way")
            await camera.abort()
            await camera.reaches(ExposureState.IDLE)
            assert camera.controller.used_by.value == ""
        # The image that was read is kept.
        assert camera.exposure.unsaved.value == 1
        await camera.exposure.run("discard_unsaved")
        await works_again(camera)

    in_camera(tmp_path, test)


def test_a_controller_that_goes_away_in_mid_readout_comes_back_and_works(tmp_path: Path) -> None:
    async def test(camera: Camera) -> None:
        camera.link.holds["read_image"] = asyncio.Event()
        identity = await camera.start("expose", seconds=0.0, image_type="zero")
        await camera.reaches(ExposureState.READOUT)
        camera.link.is_connected = False
        camera.link.holds.pop("read_image").set()
        status = await camera.ended(identity)
        assert status["error"].startswith("NotConnectedError")
        assert not camera.controller.is_reset.value
        await until(lambda: camera.controller.connected, "the controller is connected again")
        await camera.reaches(ExposureState.IDLE)
        await works_again(camera)
        # It has forgotten everything.
        assert camera.link.asked.count("reset") == 2

    in_camera(tmp_path, test)


def test_a_controller_whose_clock_stands_still_does_not_hold_the_camera_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("devices.ccd.exposure_engine.LATEST", 0.3)

    async def test(camera: Camera) -> None:
        async def stuck() -> float:
            return 1.0

        monkeypatch.setattr(camera.link, "remaining", stuck)
        status = await camera.run("expose", seconds=0.1, image_type="object")
        assert status["error"].startswith("TimeoutError: the controller still integrates")
        monkeypatch.undo()
        await works_again(camera)

    in_camera(tmp_path, test)


def test_the_exposure_goes_on_without_who_started_it(tmp_path: Path) -> None:
    async def test(camera: Camera) -> None:
        client = asyncio.create_task(camera.run("expose", seconds=0.3, image_type="object"))
        await camera.reaches(ExposureState.EXPOSING)
        client.cancel()
        await camera.reaches(ExposureState.IDLE)
        assert camera.exposure.images_taken.value == 1

    in_camera(tmp_path, test)


def test_a_tool_that_fails_costs_its_keywords_and_not_the_image(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def test(camera: Camera) -> None:
        async def lost() -> None:
            raise NotConnectedError("the telescope sleeps")

        monkeypatch.setattr(camera.telescope, "entries", lost)
        result = await camera.done("expose", seconds=0.0, image_type="zero")
        assert result["problems"] == ["header of telescope: NotConnectedError: the telescope sleeps"]
        assert camera.exposure.last_problems.value == tuple(result["problems"])
        assert "FILTER" in fits.getheader(result["file"])

    in_camera(tmp_path, test)


def test_lamps_that_do_not_burn_end_the_exposure_before_it_begins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def test(camera: Camera) -> None:
        async def broken(burning: Any) -> None:
            raise RefusedError("the lamp is cold")

        monkeypatch.setattr(camera.instrument, "move_lamps", broken)
        status = await camera.run("expose", seconds=0.1, image_type="HeNeAr")
        assert status["error"] == "RefusedError: the lamp is cold"
        assert not any(each.startswith("start_exposure") for each in camera.link.asked)
        monkeypatch.undo()
        await works_again(camera)

    in_camera(tmp_path, test)


def test_an_abort_of_nothing_changes_nothing(tmp_path: Path) -> None:
    async def test(camera: Camera) -> None:
        identity = await camera.start("expose", seconds=0.0)
        await camera.ended(identity)
        await camera.abort()
        assert camera.exposure.operations.status(identity)["state"] == "DONE"
        assert camera.exposure.exposure_state.value is ExposureState.IDLE
        assert "abort" not in camera.link.asked

    in_camera(tmp_path, test)


def test_a_server_that_ends_in_mid_exposure_leaves_the_controller_at_rest(tmp_path: Path) -> None:
    async def test(camera: Camera) -> None:
        await camera.start("expose", seconds=60.0, image_type="ThAr")
        await camera.reaches(ExposureState.EXPOSING)
        await camera.exposure.stop()
        assert camera.link.asked[-1] == "abort"
        assert camera.controller.used_by.value == ""
        assert not camera.instrument.comps_burn.value

    in_camera(tmp_path, test)


def test_a_controller_that_starts_anew_in_mid_exposure_ends_it_and_is_found_by_the_next(tmp_path: Path) -> None:
    async def test(camera: Camera) -> None:
        identity = await camera.start("expose", seconds=60.0, image_type="object")
        await camera.reaches(ExposureState.EXPOSING)
        await camera.controller.stop()
        with pytest.raises(NotConnectedError):
            await camera.exposure.run("start_readout")
        assert (await camera.ended(identity))["state"] == "FAILED"
        fresh = Controller("ccd/1/controller")
        fresh.peers = camera.exposure.peers
        fresh.peers.add(fresh)
        async with running(fresh):
            await until(lambda: fresh.connected, "the new controller")
            camera.controller = fresh
            await works_again(camera)

    in_camera(tmp_path, test)
