"""Collections of the loop detector at a simulated DCSS: each picture gets its row, in order, whatever goes wrong."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from typing import Any

import pytest

from devices.core.client import asked_by
from devices.pipelines.loop.series import RotationFit
from devices.simulators.dcss import ScriptRunner
from tests.dcss.loop_station import SLOW, greys, no_fit, picture, station

__all__ = ["greys"]
pytestmark = pytest.mark.usefixtures("greys")


def tips(updates: list[str]) -> list[int]:
    """The greys that rows tell, -1 for failed ones; the indices count up from 0."""
    rows = [update.split() for update in updates if update.startswith("LOOP_INFO ")]
    assert [int(row[1]) for row in rows] == list(range(len(rows)))
    return [round(float(row[3]) * 256) if row[2] == "normal" else -1 for row in rows]


def test_a_rotation_gives_a_row_per_picture_in_order_and_ends_when_stopped() -> None:
    async def run() -> None:
        async with station() as at:
            engine = at.dcss.engine
            run = engine.start_operation("collectLoopImages", "0.2")
            await engine.until(lambda: bool(run.updates), 5.0, "start_oscillation")
            assert run.updates == ["start_oscillation"]
            await at.post(*range(100, 130))
            assert await at.answer("stopCollectLoopImages") == "normal flag set"
            await engine.completed(run)
            assert (run.status, run.result) == ("normal", "done")
            assert tips(run.updates[1:]) == list(range(100, 130))
            assert run.updates[1] == (
                "LOOP_INFO 0 normal 0.39062 0.50000 0.12500 0.06250 0.34766 "
                "0.19531 0.39062 0.25000 0.75000 0.20000 1 mitegen 0.87500"
            )
            assert len(run.updates[1].split()) == 16
            device = at.device
            assert not device.collecting.value and device.rows_failed.value == 0
            assert device.rows.value.splitlines()[29].startswith("29 normal 0.50391 ")
            await at.until(lambda: device.rotation_found.value)
            assert device.face_angle.value == 30.0
            assert await at.answer("getLoopFace") == "normal 30.00 120.00 0.20000"
            assert device.row_angles.value[:3].tolist() == [0.0, 2.0, 4.0]

    asyncio.run(run())


def test_the_script_of_the_notes_runs_from_its_start_to_its_rows() -> None:
    async def run() -> None:
        async with station() as at:

            async def camera() -> None:
                shutter = at.dcss.dcss.devices["video_trigger"]
                await at.dcss.engine.until(lambda: shutter.state == "open", 10.0, "trigger")  # type: ignore[attr-defined]
                await at.post(*range(50, 62))

            posting = asyncio.create_task(camera())
            rows = await ScriptRunner(at.dcss.engine).run("loopFast", "180 0.6")
            await posting
            assert rows.count("normal") == 12
            assert [int(each.split()[0].strip("{")) for each in rows.split("} {")] == list(range(12))

    asyncio.run(run())


def test_pictures_between_collections_belong_to_none() -> None:
    async def run() -> None:
        async with station() as at:
            await at.post(10, 11)
            run = at.dcss.engine.start_operation("collectLoopImages")
            await at.dcss.engine.until(lambda: bool(run.updates), 5.0, "start")
            await at.post(12)
            at.dcss.engine.stop_operation("collectLoopImages")
            await at.dcss.engine.completed(run)
            await at.post(13)
            again = at.dcss.engine.start_operation("collectLoopImages")
            await at.dcss.engine.until(lambda: bool(again.updates), 5.0, "start")
            await at.post(14, 15)
            at.dcss.engine.stop_operation("collectLoopImages")
            await at.dcss.engine.completed(again)
            assert tips(run.updates[1:]) == [12] and tips(again.updates[1:]) == [14, 15]

    asyncio.run(run())


def test_lost_damaged_and_empty_pictures_get_failed_rows_and_the_operation_ends() -> None:
    async def run() -> None:
        async with station(collect_frames=6, collect_seconds=3.0) as at:
            run = at.dcss.engine.start_operation("collectLoopImages")
            await at.dcss.engine.until(lambda: bool(run.updates), 5.0, "start")
            await at.post(90, 0)
            assert await at.pusher.post(picture(91)[:60]) == 200  # begins like a picture
            assert await at.pusher.post(b"an event") == 415  # is none, and has no row
            await at.post(92)
            await at.dcss.engine.completed(run)  # 6 were announced: the time limit ends it
            assert (run.status, run.result) == ("normal", "done")
            assert tips(run.updates[1:]) == [90, -1, -1, 92, -1, -1]
            failures = [update.split()[3] for update in run.updates if " failed " in update]
            assert failures == ["tip_not_in_view", "bad_image", "no_frame", "no_frame"]
            assert at.device.rows_failed.value == 4
            await at.until(lambda: at.device.frames_refused.value == 1)

    asyncio.run(run())


def test_as_many_pictures_as_announced_end_a_collection_without_a_stop() -> None:
    async def run() -> None:
        async with station(collect_frames=3) as at:
            run = at.dcss.engine.start_operation("collectLoopImages")
            await at.dcss.engine.until(lambda: bool(run.updates), 5.0, "start")
            await at.post(70, 71, 72, 73)
            await at.dcss.engine.completed(run)
            assert tips(run.updates[1:]) == [70, 71, 72]

    asyncio.run(run())


def test_a_picture_that_takes_too_long_fails_alone() -> None:
    async def run() -> None:
        async with station(frame_seconds=0.4, at_once=2) as at:
            run = at.dcss.engine.start_operation("collectLoopImages")
            await at.dcss.engine.until(lambda: bool(run.updates), 5.0, "start")
            await at.post(80, SLOW, 81)
            at.dcss.engine.stop_operation("collectLoopImages")
            await at.dcss.engine.completed(run)
            assert [update.split()[2] for update in run.updates[1:]] == ["normal", "failed", "normal"]
            assert run.updates[2] == "LOOP_INFO 1 failed timeout"

    asyncio.run(run())


def test_an_abort_ends_a_collection_at_once_and_the_next_one_is_clean() -> None:
    async def run() -> None:
        async with station() as at:
            run = at.dcss.engine.start_operation("collectLoopImages")
            await at.dcss.engine.until(lambda: bool(run.updates), 5.0, "start")
            await at.post(60, SLOW)
            await at.dcss.engine.until(lambda: len(run.updates) == 2, 5.0, "first row")
            at.dcss.engine.abort_all("hard")
            await at.dcss.engine.completed(run, 1.0)
            assert run.status == "aborted"
            again = at.dcss.engine.start_operation("collectLoopImages")
            await at.dcss.engine.until(lambda: bool(again.updates), 5.0, "start")
            await at.post(61)
            at.dcss.engine.stop_operation("collectLoopImages")
            await at.dcss.engine.completed(again)
            assert tips(again.updates[1:]) == [61]

    asyncio.run(run())


@pytest.mark.parametrize("how", ["close", "reset"])
def test_a_dcss_that_dies_during_a_collection_is_survived_and_hears_nothing_stale(how: str) -> None:
    async def run() -> None:
        async with station() as at:
            run = at.dcss.engine.start_operation("collectLoopImages")
            await at.dcss.engine.until(lambda: bool(run.updates), 5.0, "start")
            await at.post(60)
            at.dcss.hardware.drop("loop", how)
            await at.dcss.offline("loop")
            await at.dcss.engine.completed(run)
            assert run.status == "no_hw_host_loop"
            await at.post(61)
            await at.dcss.online("loop")
            again = at.dcss.engine.start_operation("collectLoopImages")
            await at.dcss.engine.until(lambda: bool(again.updates), 5.0, "start")
            await at.post(62)
            at.dcss.engine.stop_operation("collectLoopImages")
            await at.dcss.engine.completed(again)
            assert tips(again.updates[1:]) == [62]
            # The simulated DCSS notes each answer to a handle that it has ended as a violation: see station().

    asyncio.run(run())


def test_two_collections_and_a_question_at_once_each_get_their_own_answers() -> None:
    async def run() -> None:
        async with station(at_once=3) as at:
            engine = at.dcss.engine
            first = engine.start_operation("collectLoopImages")
            await engine.until(lambda: bool(first.updates), 5.0, "start")
            await at.post(100, 101)
            second = engine.start_operation("collectLoopImages")
            await engine.until(lambda: bool(second.updates), 5.0, "start")
            await at.post(102)
            asked = engine.start_operation("getLoopInfo")
            await at.post(103)
            await engine.completed(asked)
            at.dcss.engine.stop_operation("collectLoopImages")
            await engine.completed(first)
            await engine.completed(second)
            assert tips(first.updates[1:]) == [100, 101, 102, 103]
            assert tips(second.updates[1:]) == [102, 103]
            assert asked.status == "normal" and asked.updates == []
            assert round(float(asked.result.split()[0]) * 256) in (102, 103)
            assert at.device.collections.value == 2

    asyncio.run(run())


def test_when_too_many_wait_the_oldest_are_dropped_and_told() -> None:
    async def run() -> None:
        async with station(at_once=1, queue=2) as at:
            run = at.dcss.engine.start_operation("collectLoopImages")
            await at.dcss.engine.until(lambda: bool(run.updates), 5.0, "start")
            await at.post(SLOW, 50, 51, 52, 53)
            at.dcss.engine.stop_operation("collectLoopImages")
            await at.dcss.engine.completed(run)
            assert tips(run.updates[1:]) == [SLOW, -1, -1, 52, 53]
            assert run.updates[2] == "LOOP_INFO 1 failed dropped"
            await at.until(lambda: at.device.frames_dropped.value == 2)

    asyncio.run(run())


def test_lists_of_rows_keep_to_the_length_of_a_message() -> None:
    async def run() -> None:
        async with station(rows="list") as at:
            run = at.dcss.engine.start_operation("collectLoopImages")
            await at.dcss.engine.until(lambda: bool(run.updates), 5.0, "start")
            await at.post(*range(100, 140), 0)
            at.dcss.engine.stop_operation("collectLoopImages")
            await at.dcss.engine.completed(run)
            lists = run.updates[1:]
            assert [each.split()[1:3] for each in lists] == [
                [str(k), str(len(lists))] for k in range(1, len(lists) + 1)
            ]
            assert len(lists) > 1
            head = f"htos_operation_update collectLoopImages {run.handle} "
            assert all(len(head) + len(each) + 1 <= 1024 for each in lists)
            rows = [row.strip("{}").split() for each in lists for row in each.split(" ", 3)[3].split("} {")]
            assert [int(row[0]) for row in rows] == list(range(41))
            assert all(len(row) == 9 for row in rows[:40]) and rows[40] == ["40", "failed", "tip_not_in_view"]
            assert rows[3] == "3 0.40234 0.50000 0.20117 0.40234 0.25000 0.75000 0.35059 mitegen".split()
            asked = at.dcss.engine.start_operation("getLoopResults")
            await at.dcss.engine.completed(asked)
            assert asked.result == "41" and asked.updates[0].split(" ", 3)[3] == lists[0].split(" ", 3)[3]

    asyncio.run(run())


def test_dcss_is_refused_while_another_client_has_the_detector_and_may_stop_what_runs() -> None:
    async def run() -> None:
        async with station() as at:
            engine = at.dcss.engine
            collection = engine.start_operation("collectLoopImages")
            await engine.until(lambda: bool(collection.updates), 5.0, "start_oscillation")
            with asked_by("tango 10.1.2.3 4711"):
                await at.device.run("reserve", {"name": "bluesky", "seconds": 60.0})
            refused = await at.answer("getLoopTip", "0")
            assert refused.startswith("NotAllowedError getLoopTip: dcss/loop/1 is reserved by bluesky until ")
            assert (await at.answer("collectLoopImages")).startswith("NotAllowedError collectLoopImages: ")
            await at.post(100, 101)
            assert await at.answer("stopCollectLoopImages") == "normal flag set"
            await engine.completed(collection)
            assert (collection.status, tips(collection.updates[1:])) == ("normal", [100, 101])
            await at.device.run("release", {"name": "bluesky"})
            assert await at.answer("getLoopTip", "0") == "normal 0.39453 0.50000 96 64"

    asyncio.run(run())


def test_the_face_of_a_loop_is_that_of_the_newest_rotation_also_right_after_it(monkeypatch: pytest.MonkeyPatch) -> None:
    faces = iter([30.0, 75.0])

    def slow_fit(results: Any, angles_deg: Any) -> RotationFit:
        time.sleep(0.3)
        return replace(no_fit(results, angles_deg), face_deg=next(faces))

    monkeypatch.setattr("devices.dcss.loop_device.fit_rotation", slow_fit)

    async def run() -> None:
        async with station() as at:
            for face in ("30.00", "75.00"):
                collection = at.dcss.engine.start_operation("collectLoopImages")
                await at.dcss.engine.until(lambda run=collection: bool(run.updates), 5.0, "start_oscillation")
                await at.post(100, 101, 102)
                await at.answer("stopCollectLoopImages")
                await at.dcss.engine.completed(collection)
                assert (await at.answer("getLoopFace")).split()[1] == face

    asyncio.run(run())
