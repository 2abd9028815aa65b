"""Pipelines: pure functions on a device's attributes, in threads, in processes, or in an executor of the site."""

from __future__ import annotations

import asyncio
import os
import threading
from concurrent.futures.process import BrokenProcessPool

import numpy as np
import pytest

from devices.core import Device, DeviceState, attribute, command, live, pipeline
from devices.core.errors import BusyError, ConfigurationError, InvalidReadingError, RangeError, TimeoutError
from tests.core import pool_work as work
from tests.support.running import running, until

#: Wider than high, 234 KiB: it reaches a process by shared memory.
FRAME = (np.arange(300 * 400) % 60_001).astype(np.uint16).reshape(300, 400)


def here() -> int:
    return threading.get_ident()


class Camera(Device):
    """A camera with every way to attach a pipeline; ``flat`` and ``mean`` are members of numpy arrays, too."""

    frame = attribute(np.uint16, shape=(300, 400))
    flat = attribute(np.float64, shape=(300, 400))
    rows = attribute(float, shape=(300,))
    columns = attribute(float, shape=(400,))
    mean = attribute(float, unit="adu")
    width = attribute(float, unit="adu")

    flatten = pipeline(work.flat_fielded, inputs={"frame": frame}, outputs=[flat], run_as="command")
    brightest = pipeline(work.brightest, inputs={"frame": frame}, run_as="command")
    reduce = pipeline(work.flat_fielded, inputs={"frame": frame}, outputs=[flat], run_as="operation", level="expert")
    inspect = pipeline(work.brightest, inputs={"frame": frame}, run_as="operation")
    profile = pipeline(work.profile, inputs={"frame": frame}, outputs=[rows, columns])
    # The order of the outputs is not that of the fields: names decide.
    moments = pipeline(work.moments, inputs={"frame": frame}, outputs=[mean, width])
    by_name = pipeline(work.moments_by_name, inputs={"frame": frame}, outputs=[mean, width])
    by_field = pipeline(work.moments_of_a_dataclass, inputs={"frame": frame}, outputs=[mean, width])
    fail = pipeline(work.failing, inputs={"frame": frame}, outputs=[flat])
    die = pipeline(work.dying, inputs={"frame": frame})
    wait = pipeline(work.wait, run_as="command")
    thread = pipeline(here)
    process = pipeline(work.process)

    @command()
    async def profiles(self) -> float:
        """A pipeline as a part of the device's own work."""
        rows, columns = await self.profile()
        return float(rows.mean() - columns.mean())


def camera(executor: str = "thread") -> Camera:
    return Camera("test/camera/1", {"executor": executor})


async def warmed_up(device: Camera) -> None:
    """A process takes its time to start, which is not to count against a command."""
    await device.process()


EXECUTORS = pytest.mark.parametrize("executor", ["thread", "process", "tests.core.pool_work:recorder"])


@EXECUTORS
def test_a_pipeline_takes_its_inputs_from_attributes_and_publishes_its_output(executor: str) -> None:
    async def scenario() -> None:
        async with running(camera(executor)) as device:
            await warmed_up(device)
            device.frame.publish(FRAME)
            await device.run("flatten", {"gain": 0.5, "rounds": 2})
            np.testing.assert_array_equal(device.flat.value, FRAME * 0.25)
            assert device.flat.value.shape == (300, 400)
            assert await device.run("brightest") == 60_000.0
            result = await device.flatten(gain=2.0, frame=FRAME[:1])
            np.testing.assert_array_equal(result, FRAME[:1] * 2.0)
            np.testing.assert_array_equal(device.flat.value, result)

    asyncio.run(scenario())


@EXECUTORS
def test_several_outputs_go_by_name_and_otherwise_by_order(executor: str) -> None:
    async def scenario() -> None:
        async with running(camera(executor)) as device:
            await warmed_up(device)
            device.frame.publish(FRAME)
            assert await device.run("profiles") == pytest.approx(0.0, abs=1e-6)
            np.testing.assert_allclose(device.rows.value, FRAME.mean(axis=1))
            np.testing.assert_allclose(device.columns.value, FRAME.mean(axis=0))
            await device.moments()
            assert device.mean.value == pytest.approx(FRAME.mean()) and device.width.value == pytest.approx(FRAME.std())
            await device.by_name()
            assert (device.mean.value, device.width.value) == (7.0, 3.0)
            await device.by_field()
            assert (device.mean.value, device.width.value) == (8.0, 2.0)

    asyncio.run(scenario())


def test_clients_see_only_the_arguments_that_are_theirs() -> None:
    device = camera()
    flatten = device.commands["flatten"].spec
    assert [(a.name, a.required, a.default) for a in flatten.arguments] == [("gain", True, None), ("rounds", False, 1)]
    assert flatten.result is None and flatten.doc == "The frame times the gain, so many times."
    brightest = device.commands["brightest"].spec
    assert brightest.arguments == () and brightest.result is not None and brightest.result.kind == "float64"
    assert (device.commands["reduce"].spec.kind, device.commands["reduce"].spec.level) == ("operation", "expert")
    assert "profile" not in device.commands
    with pytest.raises(RangeError, match="rounds"):
        asyncio.run(device.run("flatten", {"gain": 1.0, "rounds": 2**64}))


def test_a_pipeline_as_an_operation_is_running_and_gives_its_result() -> None:
    async def scenario() -> None:
        async with running(camera()) as device:
            await until(lambda: device.state is DeviceState.ON)
            device.frame.publish(FRAME)
            run_id = await device.run("reduce", {"gain": 3.0})
            assert device.state is DeviceState.RUNNING
            with pytest.raises(BusyError, match="reduce runs"):
                await device.run("inspect")
            await until(lambda: not device.operations.active)
            assert device.operations.status(run_id)["state"] == "DONE"
            assert device.operations.status(run_id)["result"] is None, "its output is an attribute"
            np.testing.assert_array_equal(device.flat.value, FRAME * 3.0)
            run_id = await device.run("inspect")
            await until(lambda: not device.operations.active)
            assert device.operations.status(run_id)["result"] == 60_000.0

    asyncio.run(scenario())


def test_a_pipeline_times_itself() -> None:
    async def scenario() -> None:
        async with running(camera()) as device:
            assert device.attributes["wait_seconds"].spec.unit == "s"
            assert device.attributes["wait_rate"].spec.unit == "1/s"
            await device.run("wait", {"seconds": 0.05})
            assert 0.05 <= device.attributes["wait_seconds"].value < 0.5
            assert device.attributes["wait_rate"].value == 0.0, "one run has no rate"
            await device.run("wait", {"seconds": 0.05})
            assert 2.0 < device.attributes["wait_rate"].value <= 20.0

    asyncio.run(scenario())


def test_an_input_without_a_value_is_an_error_and_nothing_runs() -> None:
    async def scenario() -> None:
        async with running(camera("tests.core.pool_work:recorder")) as device:
            device.frame.publish_invalid("the detector is off")
            with pytest.raises(InvalidReadingError, match="frame is INVALID: the detector is off"):
                await device.run("flatten", {"gain": 1.0})
            run_id = await device.run("reduce", {"gain": 1.0})
            await until(lambda: not device.operations.active)
            assert "InvalidReadingError" in device.operations.status(run_id)["error"]

    asyncio.run(scenario())


@EXECUTORS
def test_an_error_of_the_mathematics_keeps_its_class_and_publishes_nothing(executor: str) -> None:
    async def scenario() -> None:
        async with running(camera(executor)) as device:
            await warmed_up(device)
            device.frame.publish(FRAME)
            with pytest.raises(ZeroDivisionError, match=r"no flat field for \(299, 400\)"):
                await device.fail()
            assert device.flat.reading.reason == "no value yet"
            assert device.attributes["fail_seconds"].value == 0.0
            assert await device.run("brightest") == 60_000.0

    asyncio.run(scenario())


def test_a_worker_that_was_killed_fails_one_run_and_the_next_one_works() -> None:
    async def scenario() -> None:
        async with running(camera("process")) as device:
            device.frame.publish(FRAME)
            with pytest.raises(BrokenProcessPool):
                await device.die()
            await warmed_up(device)
            assert await device.run("brightest") == 60_000.0

    asyncio.run(scenario())


def test_the_work_is_done_outside_the_loop() -> None:
    async def scenario() -> None:
        async with running(camera()) as device:
            assert await device.thread() != threading.get_ident()
            waiting = asyncio.create_task(device.run("wait", {"seconds": 0.1}))
            turns = 0
            while not waiting.done():
                await asyncio.sleep(0.005)
                turns += 1
            assert turns >= 5
        async with running(camera("process")) as device:
            assert await device.process() != os.getpid()

    asyncio.run(scenario())


def test_a_pipeline_as_a_command_ends_in_time() -> None:
    async def scenario() -> None:
        async with running(camera()) as device:
            spec = device.commands["wait"].spec
            assert spec.timeout == live.PUT_TIMEOUT
            object.__setattr__(spec, "timeout", 0.05)
            with pytest.raises(TimeoutError, match=r"wait did not end within 0.05 s"):
                await device.run("wait", {"seconds": 0.3})

    asyncio.run(scenario())


def test_an_abort_frees_the_device_though_the_mathematics_goes_on() -> None:
    class Slow(Camera):
        slow = pipeline(work.wait, run_as="operation")

    async def scenario() -> None:
        async with running(Slow("test/camera/2", {"executor": "process"})) as device:
            await warmed_up(device)
            run_id = await device.run("slow", {"seconds": 0.3})
            await until(lambda: device.operations.status(run_id)["state"] == "RUNNING")
            device.operations.abort(run_id)
            await until(lambda: not device.operations.active, seconds=0.25)
            assert device.operations.status(run_id)["state"] == "ABORTED"

    asyncio.run(scenario())


# The executor -----------------------------------------------------------------------------------------------------


def test_an_executor_of_the_site_gets_the_work_and_is_closed_with_the_device() -> None:
    async def scenario() -> work.Recorder:
        async with running(camera("tests.core.pool_work:recorder")) as device:
            device.frame.publish(FRAME)
            await device.run("brightest")
            executor = device.executor
            assert isinstance(executor, work.Recorder) and device.executor is executor, "made once"
        assert device.state is DeviceState.OFF
        return executor

    recorder = asyncio.run(scenario())
    assert recorder.done == ["brightest"] and recorder.closed


def test_a_wrong_executor_is_a_wrong_configuration() -> None:
    with pytest.raises(ConfigurationError, match="'threads' is neither thread, process nor module:factory"):
        asyncio.run(camera("threads").wait(0.0))


def test_a_pipeline_names_only_arguments_that_its_function_has() -> None:
    with pytest.raises(TypeError, match="brightest has no argument picture"):
        pipeline(work.brightest, inputs={"picture": Camera.frame})


def test_an_output_that_does_not_fit_is_an_error_of_the_run() -> None:
    class Small(Device):
        flat = attribute(float, shape=(2, 3))
        flatten = pipeline(work.flat_fielded, outputs=[flat])

    async def scenario() -> None:
        async with running(Small("test/small/1")) as device:
            with pytest.raises(RangeError, match=r"flat has the shape \(300, 400\), at most \(2, 3\)"):
                await device.flatten(FRAME, 1.0)

    asyncio.run(scenario())
