"""The correlator image server as a device: gulps in, candidates out, settings, injections, operations."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from devices.core import DeviceState, Quality
from devices.core.errors import BadValueError, ConfigurationError, RangeError
from devices.correlator.device import CorrelatorServer
from tests.correlator.gulps import SMALL, Stream
from tests.support.running import running
from tests.support.running import until as until_soon

until = partial(until_soon, seconds=40.0)


class Server:
    """One device for all tests here, since its process takes seconds to start; each test leaves it as it was."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        self._life = AsyncExitStack()
        self.device: CorrelatorServer = self._run(self._start())
        self.stream = Stream(self.device)

    def __call__(self, test: Callable[[CorrelatorServer, Stream], Awaitable[None]]) -> None:
        self._run(self._fresh(test))

    def close(self) -> None:
        self._run(self._life.aclose())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _start(self) -> CorrelatorServer:
        device = CorrelatorServer("corr/test/1", {**SMALL, "results": str(self.folder)})
        await self._life.enter_async_context(running(device))
        await until(
            lambda: device.assembler is not None and device.engine.is_ready, "the search is ready", seconds=90.0
        )
        return device

    async def _fresh(self, test: Callable[[CorrelatorServer, Stream], Awaitable[None]]) -> None:
        await self.device.run("clear")
        await test(self.device, self.stream)

    def _run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(110.0)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("results"))
    try:
        yield server
    finally:
        server.close()


async def send(device: CorrelatorServer, stream: Stream, *gulps: Any, missing: tuple[int, ...] = ()) -> str:
    """Send gulps and wait until they are searched; the time of the last one."""
    isot = ""
    for gulp in gulps:
        counted = device.engine.counters.searched
        isot = stream.send(gulp, missing)
        await until(lambda: device.engine.counters.searched > counted, "it is searched")  # noqa: B023
    return isot


async def injected(device: CorrelatorServer, stream: Stream, wanted: dict[str, Any]) -> dict[str, Any]:
    """The result of an injection, while gulps go on."""
    identity = await device.run("inject", wanted)
    await asyncio.sleep(0)  # it begins
    while (status := device.operations.status(identity))["state"] in ("QUEUED", "RUNNING"):
        await send(device, stream, None)
        await asyncio.sleep(0.3)
    assert status["state"] == "DONE", status
    result: dict[str, Any] = status["result"]
    return result


def test_an_injection_before_the_first_gulp_is_refused(server: Server) -> None:
    async def test(device: CorrelatorServer, stream: Stream) -> None:
        refused = await device.run("inject")
        await until(lambda: device.operations.status(refused)["state"] == "FAILED", "refused")
        assert "no gulp has been searched" in device.operations.status(refused)["error"]
        await send(device, stream, *[None] * 8)  # so that the constant sky is known well

    server(test)


def test_a_pulse_of_the_nodes_becomes_a_candidate_with_its_pictures_and_files(server: Server) -> None:
    async def test(device: CorrelatorServer, stream: Stream) -> None:
        dm, triggers = device.dm_trials.value[4], device.triggers.value
        isot = await send(device, stream, stream.with_pulse(y=12, x=31, dm=dm, width=4.0, start=14.0, amplitude=4.0))
        assert device.gulp_isot.value == isot
        assert device.gulp_complete.value and device.gulp_missing.value == 0
        found = json.loads(device.candidates.value)
        assert len(found) == 1, found
        (best,) = found
        assert (best["y"], best["x"], best["dm"], best["sample"]) == (12, 31, pytest.approx(dm), 14)
        assert best["width_s"] == pytest.approx(4 * device.properties.sample_s)
        # 4 per sample in noise of 1: 4 * sqrt(16 * 4) = 32, less what interpolation loses.
        assert best["snr"] == pytest.approx(32.0, abs=3.0)
        assert best["ra_deg"] is None and not best["injected"]
        # It is a trigger, whose readings are known as its own by their time stamp.
        trigger = {
            device.triggers: triggers + 1, device.trigger_name: best["name"], device.trigger_snr: best["snr"],
            device.trigger_dm: best["dm"], device.trigger_width: best["width_s"], device.trigger_y: 12,
            device.trigger_x: 31, device.trigger_time: pytest.approx((best["mjd"] - 40587.0) * 86400.0),
        }  # fmt: skip
        assert {live: live.value for live in trigger} == trigger
        assert {live.timestamp for live in trigger} == {device.trigger_ra.timestamp}
        assert device.trigger_ra.quality is Quality.INVALID, "the nodes gave no pointing"
        assert list(device.candidate_snr.value) == [pytest.approx(best["snr"])]
        assert (device.snr_max_y.value, device.snr_max_x.value) == (12, 31)
        assert device.snr_map.value.shape == (48, 48)
        assert device.snr_map.value[12, 31] == pytest.approx(best["snr"], rel=1e-5)
        image = device.chosen_image.value
        assert image.shape == (11, 11) and np.unravel_index(np.argmax(image), image.shape) == (5, 5)
        spectrum = device.chosen_spectrum.value
        assert spectrum.shape == (16, 25)
        assert set(np.argsort(spectrum.mean(axis=0))[-4:]) == {11, 12, 13, 14}, "de-dispersed, in the middle"
        assert best["name"] in device.chosen_line.value
        assert device.sigma_table.value.shape == (len(device.dm_trials.value), 5)
        assert {"total", "write", "cluster", "search"} <= set(device.stage_names.value)
        assert device.real_time_margin.value > 0.0
        assert device.memory_bound.value == pytest.approx(5 * 16 * 25 * 48 * 48 * 4 / 1e6)
        await until(lambda: "gulps are searched" in device.status, "it says so")
        folder = server.folder / "candidates" / isot
        # The record is written last.
        await until(lambda: (folder / f"{best['name']}.json").exists(), "it is written")
        names = {path.name for path in folder.iterdir()}
        assert names == {f"{best['name']}.{kind}" for kind in ("json", "npz", "fits", "png", "xml")} | {
            "candidates.csv"
        }
        assert json.loads((folder / f"{best['name']}.json").read_text())["snr"] == pytest.approx(best["snr"])

    server(test)


def test_a_missing_sub_band_is_shown_and_lowers_significance_by_its_share(server: Server) -> None:
    async def test(device: CorrelatorServer, stream: Stream) -> None:
        def pulse(y: int, x: int) -> Any:
            return stream.with_pulse(y=y, x=x, dm=0.0, width=8.0, start=6.0, amplitude=9.0)

        incomplete, lacked = device.gulps_incomplete.value, device.sub_bands_missing.value
        await send(device, stream, pulse(20, 9))
        whole = device.snr_map.value[20, 9]
        missing = (1, 5, 6, 7, 12, 15)
        await send(device, stream, None)
        await send(device, stream, pulse(37, 25), missing=missing)
        await until(lambda: device.gulps_incomplete.value == incomplete + 1, "it is counted")
        assert device.snr_map.value[37, 25] / whole == pytest.approx(np.sqrt(10 / 16), abs=0.04)
        assert device.gulp_missing.value == 6
        assert list(np.flatnonzero(~device.gulp_present.value)) == list(missing)
        assert np.isnan(device.channel_sigma.value[list(missing)]).all()
        assert device.sub_bands_missing.value == lacked + 6
        await until(lambda: "6 of 16 sub-bands" in device.status, "the status says so")

    server(test)


def test_an_injected_pulse_is_found_at_the_significance_asked_for_and_marked_everywhere(server: Server) -> None:
    async def test(device: CorrelatorServer, stream: Stream) -> None:
        triggers = device.triggers.value
        for snr, dm, width, place in ((40.0, 300.0, 2.0, (30, 11)), (40.0, 2500.0, 8.0, (2, 40))):
            wanted = {"snr": snr, "dm": dm, "width": width, "y": place[0], "x": place[1]}
            result = await injected(device, stream, wanted)
            # Its own noise is 1 sigma, which is 2.5 % here.
            assert result["recovered"] == pytest.approx(snr, rel=0.10)
            found = {each["name"]: each for each in json.loads(device.candidates.value)}
            candidate = found[result["candidate"]]
            assert candidate["injected"] and (candidate["y"], candidate["x"]) == place
            files = f"*/{result['candidate']}.json"
            await until(lambda: list((server.folder / "injections").glob(files)), "it is written")  # noqa: B023
        assert device.injection_recovered.value == pytest.approx(40.0, rel=0.10)
        assert all(device.candidate_injected.value), "nothing else was found in noise"
        assert device.triggers.value == triggers, "what was injected triggers nothing"
        told = json.loads(device.injections.value)
        assert [each["dm"] for each in told] == [2500.0, 300.0]

    server(test)


def test_threshold_and_trials_hold_from_the_next_gulp_on_and_wrong_ones_are_refused(server: Server) -> None:
    async def test(device: CorrelatorServer, stream: Stream) -> None:
        dms, widths = device.dm_trials.value, device.width_trials.value
        await device.put("threshold", 3.5)
        await device.put("dm_trials", [0.0, 500.0])
        await device.put("width_trials", [1, 3])
        await send(device, stream, None)
        assert device.sigma_table.value.shape == (2, 2)
        assert device.voxels.value > 20 and len(device.log_of_candidates) > 0
        for name, value in (("dm_trials", [10.0, 5.0]), ("dm_trials", []), ("width_trials", [0, 1])):
            with pytest.raises(BadValueError, match=r"greater|at least one|from"):
                await device.put(name, value)
        with pytest.raises(RangeError):
            await device.put("threshold", 0.0)
        assert list(device.dm_trials.value) == [0.0, 500.0] and device.threshold.value == 3.5
        for name, value in (("threshold", 6.0), ("dm_trials", dms), ("width_trials", widths)):
            await device.put(name, value)

    server(test)


def test_halt_searches_what_waits_and_begin_goes_on(server: Server) -> None:
    async def test(device: CorrelatorServer, stream: Stream) -> None:
        counted = device.engine.counters
        searched, ignored = counted.searched, counted.ignored
        stream.send()
        identity = await device.run("halt", {"drain": True})
        await until(lambda: device.operations.status(identity)["state"] == "DONE", "drained")
        assert counted.searched == searched + 1
        await until(lambda: device.state is DeviceState.STANDBY and "halted" in device.status, "it says so")
        stream.send()
        assert counted.ignored == ignored + 1
        await device.run("begin")
        await send(device, stream, None)

    server(test)


def test_a_saved_gulp_is_found_again_in_its_file(server: Server) -> None:
    async def test(device: CorrelatorServer, stream: Stream) -> None:
        await device.run("save_next_gulp")
        cube = stream.with_pulse(y=30, x=8, dm=0.0, width=2.0, start=9.0, amplitude=6.0)
        await send(device, stream, cube)
        (path,) = (server.folder / "gulps").glob("*.npy")
        np.testing.assert_array_equal(np.load(path), cube)
        searched = device.engine.counters.searched
        identity = await device.run("search_file", {"path": f"gulps/{path.name}"})
        await until(lambda: device.operations.status(identity)["state"] in ("DONE", "FAILED"), "searched", seconds=90.0)
        status = device.operations.status(identity)
        assert status["state"] == "DONE", status
        (found, *_) = status["result"]["candidates"]
        assert (found["y"], found["x"], found["sample"]) == (30, 8, 9)
        assert device.engine.counters.searched == searched, "the live search has not seen it"
        refused = await device.run("search_file", {"path": "/etc/passwd"})
        await until(lambda: device.operations.status(refused)["state"] == "FAILED", "refused")
        assert "outside the folders" in device.operations.status(refused)["error"]

    server(test)


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
