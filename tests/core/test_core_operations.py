"""Operations: ids, progress, results, refusals, queues, aborts, and what is remembered of them."""

from __future__ import annotations

import asyncio
import enum
import json
import re
import time
from typing import Annotated, Any

import numpy as np
import pytest

from devices.core import Argument, Device, DeviceState, Operation, attribute, command, operation
from devices.core import operations as operations_module
from devices.core.errors import AbortedError, BusyError, RangeError, RefusedError, UnknownNameError
from tests.support.running import running, until


class Filter(enum.Enum):
    OPEN = "open"
    RED = "red"


class Camera(Device):
    """A camera whose exposure ends when the test lets it."""

    shutter = attribute(bool, initial=False)

    def __init__(self, name: str = "test/camera/1") -> None:
        super().__init__(name)
        self.read_out = asyncio.Event()
        self.begun: list[str] = []
        self.left_in_order: list[str] = []
        self.result: Any = {"file": "frame_0001.fits"}
        self.one_frame_each = False
        self.error: BaseException | None = None

    async def exposing(self, run: Operation) -> Any:
        self.begun.append(run.id)
        self.shutter.publish(True)
        try:
            run.report(25.0, "exposing")
            await self.read_out.wait()
            if self.one_frame_each:
                self.read_out.clear()
            if self.error is not None:
                raise self.error
            return self.result
        finally:
            self.shutter.publish(False)
            self.left_in_order.append(run.id)

    @operation()
    async def expose(
        self, run: Operation, seconds: Annotated[float, Argument(unit="s", limits=(0, 60))] = 1.0
    ) -> dict[str, Any]:
        """Take a frame."""
        return await self.exposing(run)

    @operation(when_busy="queue")
    async def reduce(self, run: Operation) -> dict[str, Any]:
        """Reduce the frame, after whatever runs."""
        return await self.exposing(run)

    @operation(when_busy="parallel")
    async def watch(self, run: Operation) -> dict[str, Any]:
        """Watch beside whatever runs."""
        return await self.exposing(run)

    @operation(allowed=[DeviceState.OFF])
    async def service(self, run: Operation) -> None:
        """Only when the power is off."""

    @operation()
    async def slow_to_stop(self, run: Operation) -> None:
        """The shutter takes its time to close."""
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0.1)
            self.left_in_order.append(run.id)

    @operation()
    async def stubborn(self, run: Operation) -> None:
        """Does not listen to an abort."""
        while not self.read_out.is_set():
            try:
                await self.read_out.wait()
            except asyncio.CancelledError:
                continue

    @operation()
    async def peak(self, run: Operation) -> float:
        """The brightest pixel, electrons, as numpy gives it."""
        return np.float32(1234.5)  # type: ignore[return-value]

    @operation()
    async def profile(self, run: Operation) -> list[int]:
        """A row of the frame."""
        return np.array([3, 1, 2], np.uint16)  # type: ignore[return-value]

    @operation()
    async def wheel(self, run: Operation) -> Filter:
        """The filter in the beam."""
        return Filter.RED if self.error is None else "pink"  # type: ignore[return-value]

    @command()
    async def quick(self) -> str:
        """A command beside an operation."""
        return "done"


def status(camera: Camera, run_id: str) -> dict[str, Any]:
    return camera.operations.status(run_id)


def shown(camera: Camera) -> dict[str, Any]:
    names = "operation operation_id progress operation_message operation_result operation_error".split()
    return {name: camera.attributes[name].value for name in names}


async def ended(camera: Camera, run_id: str) -> dict[str, Any]:
    await until(lambda: status(camera, run_id)["state"] in ("DONE", "FAILED", "ABORTED"), "the operation ends")
    await until(lambda: run_id not in camera.operations._tasks, "and is shown")
    return status(camera, run_id)


# From start to end ------------------------------------------------------------------------------------------------


def test_an_exposure_gives_its_id_at_once_shows_its_progress_and_ends_with_its_result() -> None:
    async def scenario() -> None:
        async with running(Camera()) as camera:
            await until(lambda: camera.state is DeviceState.ON)
            assert shown(camera)["operation"] == "" and shown(camera)["progress"] == 0.0
            run_id = await camera.run("expose", {"seconds": 2})
            assert camera.begun == [] and status(camera, run_id)["state"] == "QUEUED"
            assert camera.state is DeviceState.RUNNING and shown(camera)["operation"] == "expose"
            await until(lambda: camera.shutter.value)
            assert status(camera, run_id) == {
                "id": run_id,
                "name": "expose",
                "state": "RUNNING",
                "progress": 25.0,
                "message": "exposing",
                "result": None,
                "error": "",
            }
            assert shown(camera) == {
                "operation": "expose",
                "operation_id": run_id,
                "progress": 25.0,
                "operation_message": "exposing",
                "operation_result": "",
                "operation_error": "",
            }
            assert "expose is running" in camera.status
            assert await camera.run("quick") == "done", "a command does not wait for an operation"
            camera.read_out.set()
            end = await ended(camera, run_id)
            assert (end["state"], end["progress"], end["result"]) == ("DONE", 100.0, {"file": "frame_0001.fits"})
            after = shown(camera)
            assert after["operation"] == "" and after["operation_id"] == run_id and after["progress"] == 100.0
            assert json.loads(after["operation_result"]) == {"file": "frame_0001.fits"}
            assert camera.state is DeviceState.ON and "expose" not in camera.status

    asyncio.run(scenario())


def test_who_acts_on_the_end_finds_everything_else_in_place() -> None:
    async def scenario() -> None:
        async with running(Camera()) as camera:
            seen: list[Any] = []
            camera.attributes["operation"].subscribe(
                lambda live, reading, event: seen.append((shown(camera), camera.state))
            )
            camera.read_out.set()
            await ended(camera, await camera.run("expose"))
            last, state = seen[-1]
            assert last["operation"] == "" and last["progress"] == 100.0 and "frame_0001" in last["operation_result"]
            assert state is DeviceState.ON

    asyncio.run(scenario())


def test_ids_are_unique_over_a_restart_and_fit_into_an_epics_string() -> None:
    async def scenario() -> set[str]:
        async with running(Camera()) as camera:
            camera.read_out.set()
            return {await camera.run("watch") for _ in range(300)}

    ids = asyncio.run(scenario()) | asyncio.run(scenario())
    assert len(ids) == 600
    assert all(re.fullmatch(r"\d{8}T\d{6}-[0-9a-f]{8}", run_id) for run_id in ids)
    assert max(len(run_id) for run_id in ids) <= 39


@pytest.mark.parametrize(
    "told, progress", [(-5.0, 0.0), (0, 0.0), (33.3, 33.3), (100.5, 100.0), (float("nan"), 0.0), (float("inf"), 100.0)]
)
def test_progress_is_between_0_and_100_per_cent(told: float, progress: float) -> None:
    seen: list[Operation] = []
    run = Operation("expose", seen.append)
    run.report(50.0, "half")
    run.report(told)
    assert (run.progress, run.message) == (progress, "half") and type(run.progress) is float
    run.report(message="reading out")
    assert (run.progress, run.message) == (progress, "reading out")
    assert seen == [run] * 3


def test_an_operation_that_raises_has_failed_with_the_class_and_the_text_of_its_error(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def scenario() -> None:
        async with running(Camera()) as camera:
            camera.read_out.set()
            for error in (RefusedError("shutter is jammed"), ZeroDivisionError("a bug"), AbortedError("stop button")):
                camera.error = error
                run_id = await camera.run("expose")
                end = await ended(camera, run_id)
                assert (end["state"], end["result"]) == ("FAILED", None)
                assert end["error"] == f"{type(error).__name__}: {error}" == shown(camera)["operation_error"]
                assert shown(camera)["operation"] == "" and shown(camera)["operation_result"] == ""
            camera.error = None
            assert (await ended(camera, await camera.run("expose")))["state"] == "DONE"
            assert shown(camera)["operation_error"] == "", "the error of the newest one"

    asyncio.run(scenario())
    assert "failed: RefusedError: shutter is jammed" in caplog.text


@pytest.mark.parametrize("result", [{1, 2}, object(), 1j, {"frame": b"\0"}, {(1, 2): 3}])
def test_a_result_that_is_not_json_is_a_failure_that_says_so(result: Any) -> None:
    async def scenario() -> None:
        async with running(Camera()) as camera:
            camera.result = result
            camera.read_out.set()
            end = await ended(camera, await camera.run("expose"))
            assert (end["state"], end["result"]) == ("FAILED", None)
            assert end["error"].startswith("BadValueError: the result of expose")
            json.dumps(camera.operations.all())

    asyncio.run(scenario())


def test_a_declared_result_is_of_its_type_whatever_numpy_made_of_it() -> None:
    async def scenario() -> None:
        async with running(Camera()) as camera:
            for name, result in (("peak", 1234.5), ("profile", [3, 1, 2]), ("wheel", "red")):
                end = await ended(camera, await camera.run(name))
                assert (end["state"], end["result"]) == ("DONE", result)
            camera.error = RefusedError("")
            end = await ended(camera, await camera.run("wheel"))
            assert end["error"] == "RangeError: the result of wheel = 'pink' is none of open, red"

    asyncio.run(scenario())


def test_a_result_longer_than_the_limit_is_a_failure_and_never_cut_in_the_middle() -> None:
    async def scenario() -> None:
        async with running(Camera()) as camera:
            camera.read_out.set()
            camera.result = "x" * (operations_module.RESULT_LIMIT - 2)
            run_id = await camera.run("expose")
            assert (await ended(camera, run_id))["state"] == "DONE"
            assert json.loads(shown(camera)["operation_result"]) == camera.result
            assert json.loads(await camera.run("operation_status", {"id": run_id}))["result"] == camera.result
            camera.result += "x"
            end = await ended(camera, await camera.run("expose"))
            assert end["state"] == "FAILED" and end["error"].startswith(f"{RangeError.__name__}: the result has")

    asyncio.run(scenario())


def test_texts_that_an_attribute_cannot_hold_do_not_keep_an_operation_from_ending() -> None:
    async def scenario() -> None:
        async with running(Camera()) as camera:
            camera.read_out.set()
            camera.error = RefusedError("answer \0\0 " + "x" * 100_000)
            end = await ended(camera, await camera.run("expose"))
            assert end["state"] == "FAILED"
            assert shown(camera)["operation"] == "" and shown(camera)["operation_error"].startswith("RefusedError")

    asyncio.run(scenario())


# A second one -----------------------------------------------------------------------------------------------------


def test_a_second_exposure_is_refused_at_once_and_the_refusal_names_the_first() -> None:
    async def scenario() -> None:
        async with running(Camera()) as camera:
            first = await camera.run("expose")
            await until(lambda: camera.shutter.value)
            for name in ("expose", "slow_to_stop"):
                with pytest.raises(BusyError, match=re.escape(f"{name} is refused: expose runs ({first}, 25 %)")):
                    await camera.run(name)
            assert len(camera.operations.all()) == 1, "a refusal is no operation"
            camera.read_out.set()
            await ended(camera, first)
            await ended(camera, await camera.run("expose"))

    asyncio.run(scenario())


def test_queued_operations_wait_for_whatever_runs_and_run_in_their_order() -> None:
    async def scenario() -> None:
        async with running(Camera()) as camera:
            camera.one_frame_each = True
            ids = [await camera.run("expose")] + [await camera.run("reduce") for _ in range(3)]
            await until(lambda: camera.begun)
            assert [status(camera, run_id)["state"] for run_id in ids] == ["RUNNING", "QUEUED", "QUEUED", "QUEUED"]
            with pytest.raises(BusyError, match="expose runs"):
                await camera.run("expose")
            for position in range(4):
                await until(lambda position=position: len(camera.begun) == position + 1)
                assert camera.operations.active[0].id == ids[position]
                camera.read_out.set()
                await ended(camera, ids[position])
            assert camera.begun == ids

    asyncio.run(scenario())


def test_parallel_operations_run_beside_each_other_and_the_newest_is_shown() -> None:
    async def scenario() -> None:
        async with running(Camera()) as camera:
            ids = [await camera.run("expose"), await camera.run("watch"), await camera.run("watch")]
            await until(lambda: len(camera.begun) == 3)
            assert shown(camera)["operation_id"] == ids[-1]
            camera.operations.abort(ids[-1])
            await ended(camera, ids[-1])
            assert camera.state is DeviceState.RUNNING, "two of them go on"
            camera.read_out.set()
            for run_id in ids[:2]:
                assert (await ended(camera, run_id))["state"] == "DONE"
            assert camera.state is DeviceState.ON
            assert shown(camera)["operation_id"] == ids[-1] and "AbortedError" in shown(camera)["operation_error"]

    asyncio.run(scenario())


# Abort ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("by_id", [True, False])
def test_an_abort_ends_a_running_exposure_and_leaves_the_shutter_closed(by_id: bool) -> None:
    async def scenario() -> None:
        async with running(Camera()) as camera:
            run_id = await camera.run("expose")
            await until(lambda: camera.shutter.value)
            await camera.run("abort", {"id": run_id} if by_id else {})
            end = await ended(camera, run_id)
            assert (end["state"], end["message"], end["progress"]) == ("ABORTED", "aborted", 25.0)
            assert end["error"].startswith("AbortedError") and end["result"] is None
            assert camera.shutter.value is False and camera.state is DeviceState.ON
            await camera.run("abort", {"id": run_id})
            assert status(camera, run_id) == end, "one that has ended stays as it is"

    asyncio.run(scenario())


def test_an_abort_before_the_first_step_ends_it_before_it_began() -> None:
    async def scenario() -> None:
        async with running(Camera()) as camera:
            await until(lambda: camera.state is DeviceState.ON)
            run_id = await camera.run("expose")
            camera.operations.abort(run_id)
            assert (await ended(camera, run_id))["state"] == "ABORTED"
            assert camera.begun == [] and camera.state is DeviceState.ON and shown(camera)["operation"] == ""

    asyncio.run(scenario())


def test_a_queued_operation_can_be_aborted_without_disturbing_the_one_that_runs() -> None:
    async def scenario() -> None:
        async with running(Camera()) as camera:
            ids = [await camera.run("reduce") for _ in range(3)]
            await until(lambda: camera.begun)
            camera.operations.abort(ids[1])
            assert (await ended(camera, ids[1]))["state"] == "ABORTED"
            assert status(camera, ids[0])["state"] == "RUNNING"
            camera.read_out.set()
            assert (await ended(camera, ids[0]))["state"] == (await ended(camera, ids[2]))["state"] == "DONE"
            assert camera.begun == [ids[0], ids[2]]

    asyncio.run(scenario())


def test_an_abort_without_an_id_ends_everything() -> None:
    async def scenario() -> None:
        async with running(Camera()) as camera:
            ids = [await camera.run(name) for name in ("expose", "reduce", "reduce", "watch")]
            await until(lambda: len(camera.begun) == 2)
            camera.operations.abort()
            for run_id in ids:
                assert (await ended(camera, run_id))["state"] == "ABORTED"
            camera.operations.abort()

    asyncio.run(scenario())


def test_an_unknown_id_is_an_error_with_its_name() -> None:
    async def scenario() -> None:
        async with running(Camera()) as camera:
            for name in ("abort", "operation_status"):
                with pytest.raises(UnknownNameError, match="operation 'expose-1' is not known here"):
                    await camera.run(name, {"id": "expose-1"})

    asyncio.run(scenario())


def test_an_operation_gets_time_to_leave_the_hardware_in_order_even_when_it_is_aborted_twice() -> None:
    async def scenario() -> None:
        async with running(Camera()) as camera:
            run_id = await camera.run("slow_to_stop")
            await until(lambda: status(camera, run_id)["state"] == "RUNNING")
            camera.operations.abort(run_id)
            await asyncio.sleep(0.02)
            camera.operations.abort(run_id)
            await asyncio.sleep(0.02)
            assert camera.state is DeviceState.RUNNING, "still stopping"
            with pytest.raises(BusyError):
                await camera.run("expose")
            assert (await ended(camera, run_id))["state"] == "ABORTED"
            assert camera.left_in_order == [run_id]

    asyncio.run(scenario())


def test_an_operation_that_does_not_listen_is_given_up_and_reported(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(operations_module, "ABORT_TIMEOUT", 0.05)

    async def scenario() -> None:
        async with running(Camera()) as camera:
            run_id = await camera.run("stubborn")
            await until(lambda: status(camera, run_id)["state"] == "RUNNING")
            began = time.monotonic()
            camera.operations.abort(run_id)
            assert (await ended(camera, run_id))["state"] == "ABORTED"
            assert 0.04 < time.monotonic() - began < 1.0
            assert camera.state is DeviceState.ON
            camera.read_out.set()

    asyncio.run(scenario())
    assert "did not stop within 0.05 s of its abort" in caplog.text


def test_an_error_while_stopping_is_logged_and_the_operation_is_aborted(caplog: pytest.LogCaptureFixture) -> None:
    class Jammed(Camera):
        async def exposing(self, run: Operation) -> Any:
            try:
                await asyncio.Event().wait()
            finally:
                raise RefusedError("the shutter is jammed")

    async def scenario() -> None:
        async with running(Jammed()) as camera:
            run_id = await camera.run("expose")
            await until(lambda: status(camera, run_id)["state"] == "RUNNING")
            await asyncio.sleep(0)
            camera.operations.abort(run_id)
            assert (await ended(camera, run_id))["state"] == "ABORTED"

    asyncio.run(scenario())
    assert "failed while it was aborted: the shutter is jammed" in caplog.text


def test_work_that_was_cancelled_from_within_has_failed_and_was_not_aborted_by_a_client() -> None:
    async def scenario() -> None:
        async with running(Camera()) as camera:
            camera.read_out.set()
            camera.error = asyncio.CancelledError()
            end = await ended(camera, await camera.run("expose"))
            assert (end["state"], end["error"]) == ("FAILED", "AbortedError: the work was cancelled from within")

    asyncio.run(scenario())


def test_stopping_the_device_aborts_what_runs_and_waits_for_it() -> None:
    async def scenario() -> None:
        async with running(Camera()) as camera:
            ids = [await camera.run("slow_to_stop"), await camera.run("reduce")]
            await until(lambda: status(camera, ids[0])["state"] == "RUNNING")
            await asyncio.sleep(0)
        assert [status(camera, run_id)["state"] for run_id in ids] == ["ABORTED", "ABORTED"]
        assert camera.left_in_order == ids[:1]
        assert camera.state is DeviceState.OFF

    asyncio.run(scenario())


def test_the_client_that_started_it_going_away_does_not_end_it() -> None:
    async def scenario() -> None:
        async with running(Camera()) as camera:
            client = asyncio.create_task(camera.run("expose"))
            run_id = await client
            client.cancel()
            await until(lambda: camera.shutter.value)
            camera.read_out.set()
            assert (await ended(camera, run_id))["state"] == "DONE"

    asyncio.run(scenario())


# What is remembered -----------------------------------------------------------------------------------------------


def test_the_last_hundred_are_remembered_newest_first() -> None:
    async def scenario() -> None:
        async with running(Camera()) as camera:
            camera.read_out.set()
            ids = []
            for _ in range(103):
                ids.append(await camera.run("expose"))
                await ended(camera, ids[-1])
            assert [run["id"] for run in json.loads(await camera.run("operations"))] == ids[:2:-1]
            with pytest.raises(UnknownNameError):
                status(camera, ids[2])

    asyncio.run(scenario())


def test_none_that_runs_or_waits_is_forgotten_however_many_they_are() -> None:
    async def scenario() -> None:
        async with running(Camera()) as camera:
            ids = [await camera.run("reduce") for _ in range(130)]
            await until(lambda: camera.begun)
            assert [run.id for run in camera.operations.active] == ids
            assert status(camera, ids[0])["state"] == "RUNNING" and status(camera, ids[-1])["state"] == "QUEUED"
            camera.read_out.set()
            await until(lambda: not camera.operations.active)
            assert len(camera.begun) == 130
            newest = await camera.run("expose")
            assert len(camera.operations.all()) == 100 and status(camera, newest)["name"] == "expose"

    asyncio.run(scenario())


def test_an_operation_is_refused_by_its_limits_and_states_before_it_begins() -> None:
    async def scenario() -> None:
        async with running(Camera()) as camera:
            await until(lambda: camera.state is DeviceState.ON)
            with pytest.raises(RangeError, match=r"seconds = 61.0 s is outside \[0, 60\] s"):
                await camera.run("expose", {"seconds": 61})
            with pytest.raises(Exception, match="service is not allowed in state ON, only in OFF"):
                await camera.run("service")
            assert camera.operations.all() == []

    asyncio.run(scenario())


def test_a_device_without_operations_has_none_of_their_commands() -> None:
    device = Device("test/plain/1")
    assert set(device.commands) == {"describe", "reserve", "release"}
    assert set(device.attributes) == {"alarm_summary", "reserved_by"}
    assert {"abort", "operation_status", "operations"} < set(Camera().commands)
