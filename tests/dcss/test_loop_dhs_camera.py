"""The operations of a camera's hardware server: each answers in the words that scripts expect."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from devices.pipelines.loop.settings import LoopSettings
from devices.simulators.axis import AxisCameraSettings, AxisSimulator
from servers.automl.server import AutomlServer
from tests.dcss.loop_station import COLUMNS, ROWS, greys, picture, read_grey, station

__all__ = ["greys"]
pytestmark = pytest.mark.usefixtures("greys")


@pytest.mark.parametrize(
    ("operation", "arguments", "answer"),
    [
        ("initializeCamera", "now", "normal"),
        ("getLoopTip", "", "normal 0.75000 0.50000"),
        ("getLoopTip", "0", f"normal 0.75000 0.50000 {COLUMNS} {ROWS}"),
        ("getLoopTip", "1", "normal 0.75000 0.50000 0.12500"),
        ("getLoopTip", "-1", "normal 0.75000 0.50000 1"),
        (
            "getLoopInfo",
            "0.2",
            "normal 0.75000 0.50000 0.12500 0.06250 0.43750 0.37500 0.75000 0.25000 0.75000 0.20000 1 mitegen 0.87500",
        ),
        # The tip is in column 79; 10 and 20 pixels towards the pin the edges are at rows 16 and 48, then 20 and 44.
        ("getPinDiameters", "10 2", "normal 0.82812 2 0.25000 0.75000 0.31250 0.68750"),
        ("getPinDiameters", "10 9", "error RequireTooManyDiametersOrNegativeNumber"),
        ("getPinDiameters", "10 -1", "error RequireTooManyDiametersOrNegativeNumber"),
        ("getPinDiameters", "0 2", "error InvalidLengthParameter"),
        ("getPinDiameters", "50 2", "error InvalidLengthParameter"),
        ("getVerticalCut", "0.25 0.5 0.05 1.0", "normal 0.50000 0.37500"),
        ("getVerticalCut", "0.7 0.75 0.0 1.0", "normal 0.50000 0.50000"),
        ("getVerticalCut", "0.9 1.0 0.0 1.0", "error PinNotInView +"),
        ("addImageToList", "0", f"normal {round(0.4375 * ROWS)} 0.43750"),
        ("findBoundingBox", "Both Both", "error no image list"),
    ],
)
def test_an_operation_answers_from_the_present_picture(operation: str, arguments: str, answer: str) -> None:
    async def run() -> None:
        async with station() as at:
            await at.post(192)  # three quarters of 256
            assert await at.answer(operation, arguments) == answer

    asyncio.run(run())


def test_a_sample_out_of_view_says_on_which_side() -> None:
    async def run() -> None:
        async with station() as at:
            await at.post(0)
            assert await at.answer("getLoopTip", "0") == "error TipNotInView +"
            assert await at.answer("getLoopInfo") == "failed tip_not_in_view"
            assert await at.answer("addImageToList", "0") == "error TipNotInView +"
            assert not at.device.found.value and at.device.message.value == "tip_not_in_view"

    asyncio.run(run())


def test_the_box_of_a_list_is_that_of_its_highest_picture_and_the_one_a_quarter_turn_away() -> None:
    async def run() -> None:
        async with station() as at:
            for index in range(18):  # 10 degrees each: the greatest is the picture of 40 degrees
                await at.post(240 - 4 * abs(index - 4))
                assert (await at.answer("addImageToList", str(index))).startswith("normal ")
            await at.post(0)
            found = (await at.answer("findBoundingBox", "Both Both")).split()
            assert found[:3] == ["normal", "4", "13"]
            assert found[3:7] == ["0.46875", "0.25000", "0.93750", "0.75000"]  # left upper right lower, of 240
            assert found[7:] == ["0.39844", "0.25000", "0.79688", "0.75000"]  # of 204
            assert await at.answer("findBoundingBox", "Both Both") == "error no image list"

    asyncio.run(run())


def test_a_picture_of_the_last_collection_gets_a_new_box() -> None:
    async def run() -> None:
        async with station() as at:
            run = at.dcss.engine.start_operation("collectLoopImages")
            await at.dcss.engine.until(lambda: bool(run.updates), 5.0, "start")
            await at.post(100, 0)
            at.dcss.engine.stop_operation("collectLoopImages")
            await at.dcss.engine.completed(run)
            assert await at.answer("reboxLoopImage", "0 0.1 0.5") == "normal 0 0.31250 0.68750 0.37500"
            assert await at.answer("reboxLoopImage", "0 0.5 0.7") == "normal 0 0.25000 0.75000 0.50000"
            assert await at.answer("reboxLoopImage", "1 0.1 0.5") == "failed tip_not_in_view"
            assert (await at.answer("reboxLoopImage", "7 0.1 0.5")).startswith("BadValueError ")

    asyncio.run(run())


def test_a_camera_that_pushes_nothing_is_asked() -> None:
    async def run() -> None:
        async with AxisSimulator(AxisCameraSettings(step_deg=90.0)) as camera:
            url = f"http://127.0.0.1:{camera.port}/axis-cgi/jpg/image.cgi?camera=1"
            async with station(snapshot_url=url, fresh_seconds=0.0) as at:
                assert await at.answer("getLoopTip", "0") != ""
                found = json.loads(json.dumps(await at.device.run("find_loop")))
                assert (found["columns"], found["rows"]) == (704, 480)
                # The panel shows it, too: nobody has to ask.
                await at.until(lambda: at.device.overlay.value.shape == (480, 3 * 704))
                assert at.device.image.value.shape == (480, 3 * 704)

    asyncio.run(run())


def test_without_any_picture_an_operation_says_so() -> None:
    async def run() -> None:
        async with station() as at:
            assert (await at.answer("getLoopTip", "0")).startswith("TimeoutError the camera has sent no picture")

    asyncio.run(run())


@pytest.mark.parametrize("form", ["plain", "parameters", "lower_case", "multipart", "chunked", "expect"])
def test_pictures_are_collected_in_whatever_form_the_camera_sends_them(form: str) -> None:
    async def run() -> None:
        async with station(form=form) as at:
            run = at.dcss.engine.start_operation("collectLoopImages")
            await at.dcss.engine.until(lambda: bool(run.updates), 5.0, "start")
            await at.post(33, 44, 55)
            await at.answer("stopCollectLoopImages")
            await at.dcss.engine.completed(run)
            assert [round(float(each.split()[3]) * 256) for each in run.updates[1:]] == [33, 44, 55]

    asyncio.run(run())


def test_a_stream_is_followed_and_found_again() -> None:
    async def run() -> None:
        camera = AxisSimulator(AxisCameraSettings(step_deg=90.0, fps=20.0))
        await camera.start()
        port = camera.port
        async with station(stream_url=f"http://127.0.0.1:{port}/axis-cgi/mjpg/video.cgi") as at:
            await at.until(lambda: at.device.frames.received > 0)
            before = at.device.frames.received
            await camera.rotate(5)
            await at.until(lambda: at.device.frames.received >= before + 5)
            await camera.stop()
            await at.until(lambda: "stream" in at.device.status, "the lost stream is not told")
            again = AxisSimulator(AxisCameraSettings(step_deg=90.0))
            await again.start(port)
            before = at.device.frames.received
            await at.until(lambda: at.device.frames.received > before, "the stream is not found again")
            await again.stop()

    asyncio.run(run())


def test_pictures_of_a_collection_are_written_below_their_folder_only(tmp_path: Path) -> None:
    async def run() -> None:
        async with station(save_folder=str(tmp_path / "pictures"), save_collections=2) as at:
            await at.device.put("save_image_files", True)
            for _ in range(3):
                run = at.dcss.engine.start_operation("collectLoopImages", handle="../../1.7")
                await at.dcss.engine.until(lambda run=run: bool(run.updates), 5.0, "start")  # type: ignore[misc]
                await at.post(200, 0)
                at.dcss.engine.stop_operation("collectLoopImages")
                await at.dcss.engine.completed(run)
            folder = Path(at.device.save_path.value)
            await at.until(lambda: (folder / "rows.jsonl").exists() and len(list(folder.iterdir())) == 3)
            assert folder.parent == tmp_path / "pictures"
            assert (folder / "0000.png").read_bytes() == picture(200)
            rows = [json.loads(line)["row"] for line in (folder / "rows.jsonl").read_text().splitlines()]
            assert rows[0][:3] == ["0", "normal", "0.78125"] and rows[1] == ["1", "failed", "tip_not_in_view"]

    asyncio.run(run())
    assert {each.name for each in tmp_path.iterdir()} == {"pictures"}


def test_a_mask_takes_out_what_is_there_without_a_sample(tmp_path: Path) -> None:
    async def run() -> None:
        async with station(save_folder=str(tmp_path)) as at:
            await at.post(128)
            assert await at.answer("addImageToList", "-1") == "normal"
            assert (tmp_path / "mask.jpg").read_bytes() == picture(128)
            await at.post(64)  # half as bright as the mask: what is left of it has the mask's brightness at half
            masked = await at.answer("addImageToList", "0")
            assert await at.answer("addImageToList", "-2") == "normal"
            assert masked == await at.answer("addImageToList", "0")  # an even mask changes nothing
            await at.answer("addImageToList", "-3")
            assert at.device.mask == picture(128)

    asyncio.run(run())


def test_a_service_elsewhere_may_look_for_the_loops(monkeypatch: pytest.MonkeyPatch) -> None:
    async def run() -> None:
        monkeypatch.setattr("servers.automl.server.detect", read_grey)
        server = AutomlServer(LoopSettings())
        await server.start(0)
        try:
            async with station(automl=f"127.0.0.1:{server.port}") as at:
                run = at.dcss.engine.start_operation("collectLoopImages")
                await at.dcss.engine.until(lambda: bool(run.updates), 5.0, "start")
                await at.post(192, 0, 128)
                at.dcss.engine.stop_operation("collectLoopImages")
                await at.dcss.engine.completed(run)
                rows = [each.split() for each in run.updates[1:]]
                assert [row[2] for row in rows] == ["normal", "failed", "normal"]
                # The tip is at the edge of the box; a box is all that such a service tells.
                assert [row[3] for row in (rows[0], rows[2])] == ["0.75000", "0.50000"]
                assert (await at.answer("reboxLoopImage", "0 0.1 0.2")).startswith("normal 0 0.25000 0.75000 ")
                assert await at.answer("getPinDiameters", "10 2") == "error PinNotInView +"
        finally:
            await server.close()

    asyncio.run(run())


def test_a_collection_runs_without_dcss_too() -> None:
    async def run() -> None:
        async with station() as at:
            started = await at.device.run("collect", {"frames": 2, "seconds": 5.0})
            await at.until(lambda: at.device.collecting.value)
            await at.post(100, 101)
            await at.until(lambda: not at.device.collecting.value)
            await at.until(lambda: '"rows": 2' in at.device.attributes["operation_result"].value)
            assert started

    asyncio.run(run())
