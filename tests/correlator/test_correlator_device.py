"""The correlator image server as a device: gulps in, candidates out, settings, injections, operations."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from devices.core import DeviceState
from devices.core.errors import BadValueError, ConfigurationError, RangeError
from devices.correlator.device import CorrelatorServer
from tests.correlator.gulps import SMALL, Stream
from tests.support.running import running
from tests.support.running import until as until_soon

until = partial(until_soon, seconds=40.0)


def run(test: Callable[[CorrelatorServer, Stream], Awaitable[None]], **properties: Any) -> None:
    async def work() -> None:
        async with running(CorrelatorServer("corr/test/1", {**SMALL, **properties})) as device:
            await until(
                lambda: device.assembler is not None and device.engine.is_ready, "the search is ready", seconds=90.0
            )
            await test(device, Stream(device))

    asyncio.run(work())


async def searched(device: CorrelatorServer, count: int) -> None:
    await until(lambda: device.engine.counters.searched >= count, f"{count} gulps are searched")


async def injected(device: CorrelatorServer, stream: Stream, wanted: dict[str, Any]) -> dict[str, Any]:
    """The result of an injection, while gulps go on."""
    identity = await device.run("inject", wanted)
    await asyncio.sleep(0)  # it begins
    while (status := device.operations.status(identity))["state"] in ("QUEUED", "RUNNING"):
        stream.send()
        await searched(device, stream.sent)
        await asyncio.sleep(0.3)
    assert status["state"] == "DONE", status
    result: dict[str, Any] = status["result"]
    return result


def test_a_pulse_of_the_nodes_becomes_a_candidate_with_its_pictures() -> None:
    async def test(device: CorrelatorServer, stream: Stream) -> None:
        for _ in range(8):  # so that the constant sky is known well
            stream.send()
            await searched(device, stream.sent)
        dm = device.dm_trials.value[4]
        isot = stream.send(stream.with_pulse(y=12, x=31, dm=dm, width=4.0, start=14.0, amplitude=4.0))
        await searched(device, 9)
        assert device.gulp_isot.value == isot
        assert device.gulp_complete.value and device.gulp_missing.value == 0
        found = json.loads(device.candidates.value)
        assert len(found) == 1, found
        (best,) = found
        assert (best["y"], best["x"], best["dm"], best["sample"]) == (12, 31, pytest.approx(dm), 14)
        assert best["width_s"] == pytest.approx(4 * device.properties.sample_s)
        # 4 per sample in noise of 1: 4 * sqrt(16 * 4) = 32, less what interpolation loses.
        assert best["snr"] == pytest.approx(32.0, abs=3.0)
        assert best["ra_deg"] is None and best["rfi_probability"] is None and not best["injected"]
        assert list(device.candidate_snr.value) == [pytest.approx(best["snr"])]
        assert (device.snr_max_y.value, device.snr_max_x.value) == (12, 31)
        assert device.snr_map.value.shape == (48, 48)
        assert device.snr_map.value[12, 31] == pytest.approx(best["snr"], rel=1e-5)
        image = device.chosen_image.value
        assert image.shape == (11, 11) and np.unravel_index(np.argmax(image), image.shape) == (5, 5)
        spectrum = device.chosen_spectrum.value
        assert spectrum.shape == (16, 25)
        assert set(np.argsort(spectrum.mean(axis=0))[-4:]) == {11, 12, 13, 14}, "de-dispersed, in the middle"
        assert device.sigma_table.value.shape == (len(device.dm_trials.value), 5)
        assert "total" in device.stage_names.value and "write" in device.stage_names.value
        assert device.real_time_margin.value > 1.0
        assert device.memory_bound.value == pytest.approx(5 * 16 * 25 * 48 * 48 * 4 / 1e6)
        await until(lambda: device.state is DeviceState.ON, "ON")
        await device.run("clear")
        assert device.candidates.value == "[]" and not device.chosen_image.value.any()

    run(test)


def test_a_missing_sub_band_is_shown_and_lowers_significance_by_its_share() -> None:
    async def test(device: CorrelatorServer, stream: Stream) -> None:
        def pulse() -> Any:
            return stream.with_pulse(y=20, x=9, dm=0.0, width=8.0, start=6.0, amplitude=3.0)

        stream.send()
        stream.send()
        stream.send(pulse())
        await searched(device, 3)
        whole = device.snr_map.value[20, 9]
        stream.send()
        missing = (1, 5, 6, 7, 12, 15)
        stream.send(pulse(), missing)
        await searched(device, 5)
        await until(lambda: device.gulps_incomplete.value == 1, "it is counted")
        assert device.snr_map.value[20, 9] / whole == pytest.approx(np.sqrt(10 / 16), abs=0.06)
        assert device.gulp_missing.value == 6
        assert list(np.flatnonzero(~device.gulp_present.value)) == list(missing)
        assert np.isnan(device.channel_sigma.value[list(missing)]).all()
        assert device.sub_bands_missing.value == 6
        await until(lambda: "6 of 16 sub-bands" in device.status, "the status says so")

    run(test)


def test_an_injected_pulse_is_found_at_the_significance_asked_for_and_marked_everywhere() -> None:
    async def test(device: CorrelatorServer, stream: Stream) -> None:
        refused = await device.run("inject")
        await until(lambda: device.operations.status(refused)["state"] == "FAILED", "refused")
        assert "no gulp has been searched" in device.operations.status(refused)["error"]
        for _ in range(6):
            stream.send()
            await searched(device, stream.sent)
        for snr, dm, width, place in ((40.0, 300.0, 2.0, (30, 11)), (40.0, 2500.0, 8.0, (2, 40))):
            wanted = {"snr": snr, "dm": dm, "width": width, "y": place[0], "x": place[1]}
            result = await injected(device, stream, wanted)
            # Its own noise is 1 sigma, which is 2.5 % here.
            assert result["recovered"] == pytest.approx(snr, rel=0.10)
            assert result["candidate"]
            found = {each["name"]: each for each in json.loads(device.candidates.value)}
            candidate = found[result["candidate"]]
            assert candidate["injected"] and (candidate["y"], candidate["x"]) == place
        assert device.injection_recovered.value == pytest.approx(40.0, rel=0.10)
        assert all(device.candidate_injected.value), "nothing else was found in noise"
        told = json.loads(device.injections.value)
        assert [each["dm"] for each in told] == [2500.0, 300.0]

    run(test)


def test_threshold_and_trials_hold_from_the_next_gulp_on_and_wrong_ones_are_refused() -> None:
    async def test(device: CorrelatorServer, stream: Stream) -> None:
        stream.send()
        stream.send()
        await searched(device, 2)
        assert device.candidate_count.value == 0
        await device.put("threshold", 3.5)
        await device.put("dm_trials", [0.0, 500.0])
        await device.put("width_trials", [1, 3])
        stream.send()
        await searched(device, 3)
        assert device.sigma_table.value.shape == (2, 2)
        assert device.voxels.value > 20 and device.candidate_count.value > 0
        for name, value in (("dm_trials", [10.0, 5.0]), ("dm_trials", []), ("width_trials", [0, 1])):
            with pytest.raises(BadValueError, match=r"greater|at least one|from"):
                await device.put(name, value)
        with pytest.raises(RangeError):
            await device.put("threshold", 0.0)
        assert list(device.dm_trials.value) == [0.0, 500.0] and device.threshold.value == 3.5

    run(test)


def test_halt_searches_what_waits_and_begin_goes_on() -> None:
    async def test(device: CorrelatorServer, stream: Stream) -> None:
        stream.send()
        identity = await device.run("halt", {"drain": True})
        await until(lambda: device.operations.status(identity)["state"] == "DONE", "drained")
        assert device.engine.counters.searched == 1
        await until(lambda: device.state is DeviceState.STANDBY and "halted" in device.status, "it says so")
        stream.send()
        assert device.engine.counters.ignored == 1
        await device.run("begin")
        stream.send()
        await searched(device, 2)

    run(test)


def test_a_saved_gulp_is_found_again_in_its_file(tmp_path: Path) -> None:
    async def test(device: CorrelatorServer, stream: Stream) -> None:
        stream.send()
        await searched(device, 1)
        await device.run("save_next_gulp")
        cube = stream.with_pulse(y=30, x=8, dm=0.0, width=2.0, start=9.0, amplitude=6.0)
        stream.send(cube)
        await searched(device, 2)
        (path,) = (tmp_path / "gulps").glob("*.npy")
        np.testing.assert_array_equal(np.load(path), cube)
        identity = await device.run("search_file", {"path": f"gulps/{path.name}"})
        await until(lambda: device.operations.status(identity)["state"] in ("DONE", "FAILED"), "searched", seconds=90.0)
        status = device.operations.status(identity)
        assert status["state"] == "DONE", status
        (found, *_) = status["result"]["candidates"]
        assert (found["y"], found["x"], found["sample"]) == (30, 8, 9)
        assert device.engine.counters.searched == 2, "the live search has not seen it"
        refused = await device.run("search_file", {"path": "/etc/passwd"})
        await until(lambda: device.operations.status(refused)["state"] == "FAILED", "refused")
        assert "outside the folders" in device.operations.status(refused)["error"]

    run(test, results=str(tmp_path))


@pytest.mark.parametrize(
    ("properties", "problem"),
    [
        ({"max_processes": "41"}, r"max_processes = '41': outside \[4, 40\]"),
        ({"datasize": "7"}, "7 is none of 1, 2, 3, 4, 5, 8, 9, 16"),
        ({"subimgpix": "10"}, "not odd"),
        ({"hooks": "curl http://x"}, "neither 'program:"),
        ({"frequencies_mhz": ["1400", "1300"]}, "2 of nchans = 16"),
        ({"psf": "gaussian:0"}, "0.5 to 100"),
        ({"results": "here"}, "absolute"),
        ({"SNRthres": "6"}, "did you mean"),
        ({"dms": ["5", "4"]}, "greater than the one before"),
        ({"compute": "tpu"}, "neither cpu nor cuda"),
    ],
)
def test_wrong_properties_are_refused(properties: dict[str, Any], problem: str) -> None:
    with pytest.raises(ConfigurationError, match=problem):
        CorrelatorServer("corr/test/1", {**SMALL, **properties})
