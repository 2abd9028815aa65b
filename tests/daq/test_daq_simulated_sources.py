"""Simulated recorders and the sources that take their frames: none is lost on any way."""

from __future__ import annotations

import asyncio
import itertools
from collections import defaultdict
from pathlib import Path

import pytest
from frames import Published, running, until

from devices.daq.frame import Frame
from devices.daq.sources.run_directory import RunDirectory
from devices.daq.sources.simulation import Simulation
from devices.daq.sources.source import Source
from devices.daq.sources.status_pipe import StatusPipe
from devices.daq.sources.unix_sockets import UnixSockets
from devices.drivers.pff import stamps
from devices.simulators.daq import DaqSettings, run


def numbers(frames: list[Frame]) -> dict[tuple[int, str, int], list[int]]:
    """The numbers of packets by module, data product and quabo."""
    found: dict[tuple[int, str, int], list[int]] = defaultdict(list)
    for frame in frames:
        found[frame.key].append(stamps(frame.fields)[0].pkt_num)
    return found


def source(mode: str, published: Published, folder: Path) -> Source:
    if mode == "uds":
        return UnixSockets(published, str(folder / "{dp_name}.sock"))
    return StatusPipe(published, folder) if mode == "pipe" else RunDirectory(published, folder)


@pytest.mark.parametrize("mode", ["filesystem", "pipe", "uds"])
def test_every_frame_of_a_simulated_recorder_comes(tmp_path: Path, mode: str) -> None:
    """Two modules at 200 images per s, in files of 40 frames, with showers."""
    options = {
        "mode": mode,
        "data_dir": str(tmp_path),
        "socket_path_template": str(tmp_path / "{dp_name}.sock"),
        "modules": "3,254",
        "rate_hz": 200,
        "event_rate_hz": 30,
        "frames_per_file": 40,
        "keep_files": 100,
        "burst_bytes": 20_000,
    }

    async def work() -> None:
        published = Published()
        found = source(mode, published, tmp_path)
        reading = asyncio.create_task(found.run())
        await until(found.ready.is_set)
        writing = asyncio.create_task(run(0, options))
        try:
            await until(
                lambda: {3, 254} == {key[0] for key in numbers(published.frames)} and len(published.frames) > 400,
                20.0,
                lambda: f"{len(published.frames)} frames, {found.problem}",
            )
            assert not writing.done() and not reading.done()
        finally:
            for task in (writing, reading):
                task.cancel()
            await asyncio.gather(writing, reading, return_exceptions=True)
        by_key = numbers(published.frames)
        assert {key[1] for key in by_key} == {"img16", "ph256"}
        for key, found_numbers in by_key.items():
            # A simulation that was halted for a second leaves as many movie frames out.
            steps = {last - first for first, last in itertools.pairwise(found_numbers)}
            assert steps <= {1, *(range(190, 5000) if key[1] == "img16" else ())}
        assert found.skipped_bytes == 0
        if mode != "uds":
            movies = [frame.number for frame in published.frames if frame.key == (3, "img16", 0)]
            assert movies == [index % 40 for index in range(len(movies))]  # each file counts from 0

    asyncio.run(work())


def test_simulated_frames_without_a_recorder() -> None:
    settings = DaqSettings.of({"mode": "uds", "modules": "7,8", "rate_hz": 200, "pulse_heights": "none"})

    async def work() -> None:
        published = Published()
        async with running(Simulation(published, settings)) as found:
            frames = await published.count(40)
            assert {frame.file for frame in frames} == {"rpc_sim_img16.pff"}
            assert [frame.module for frame in frames[:4]] == [7, 8, 7, 8]
            assert [frame.number for frame in frames if frame.module == 8][:5] == [0, 1, 2, 3, 4]
            assert found.frames >= 40

    asyncio.run(work())
