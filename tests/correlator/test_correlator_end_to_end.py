"""From simulated nodes over HTTP to candidates, and the server alone on the command line."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from devices.correlator.device import CorrelatorServer
from devices.pipelines.candidates.classify import SHIPPED
from devices.simulators.correlator.settings import NodeSettings
from devices.simulators.correlator.simulator import simulate
from servers.ingest.hosted import ingest
from tests.support.running import running, until

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.mark.skipif(not SHIPPED.exists(), reason="there are no weights of the classifier")
@pytest.mark.long
def test_pulses_of_simulated_nodes_come_out_as_classified_candidates_at_their_places(tmp_path: Path) -> None:
    async def work() -> None:
        properties = {"gridsize": "48", "nchans": "8", "threads": "1", "results": str(tmp_path), "max_processes": "8"}
        async with running(CorrelatorServer("corr/test/1", properties)) as device:
            await until(lambda: device.assembler is not None and device.engine.is_ready, "it is ready", 90.0)
            port = free_port()
            service = ingest(device, {"listen": f"127.0.0.1:{port}"})
            await service.start()
            truth = tmp_path / "truth.jsonl"
            settings = NodeSettings.of(
                {
                    "server": f"127.0.0.1:{port}", "nodes": 8, "size": 48, "rate": 4.0, "gulps": 16, "seed": 3,
                    "pulse_every_s": 12.0, "snr_least": 20.0, "snr_most": 40.0, "dm_most": 1500.0, "truth": str(truth),
                }
            )  # fmt: skip
            try:
                sent = await simulate(settings)
                await until(lambda: device.engine.counters.received == 16, f"all gulps: {sent}", 20.0)
                await device.engine.drained()
            finally:
                await service.stop()
            assert device.engine.counters.searched == 16, device.engine.counters
            await device.poll_counters()
            assert list(device.node_stored.value) == [16] * 8 and not device.node_late.value.any()
            found = json.loads(device.candidates.value)
            pulses = [json.loads(line) for line in truth.read_text().splitlines()]
            # The constant sky is known after the first gulps.
            wanted = [pulse for pulse in pulses if pulse["gulp"] >= 3] if "gulp" in pulses[0] else pulses[1:]
            assert wanted
            for pulse in wanted:
                near = [each for each in found if abs(each["y"] - pulse["y"]) <= 1 and abs(each["x"] - pulse["x"]) <= 1]
                assert near, (pulse, found)
                assert all(0.0 <= each["rfi_probability"] <= 1.0 for each in near)
                assert near[0]["ra_deg"] is not None

    asyncio.run(work())


def run(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name != "TANGO_HOST"}
    return subprocess.run(
        [sys.executable, "-P", *words], cwd=folder, env=environment, capture_output=True, text=True, timeout=110.0
    )


@pytest.mark.long
def test_a_server_in_the_background_takes_a_cube_of_the_command_line_and_writes_its_candidate(tmp_path: Path) -> None:
    cube = np.random.default_rng(5).standard_normal((16, 25, 32, 32)).astype(np.float32)
    cube[:, 8:12, 20, 9] += 8.0
    np.save(tmp_path / "cube.npy", cube)
    searched = run(tmp_path, "-m", "servers.main", "correlator", "search", "cube.npy", "--no-classify")
    assert searched.returncode == 0, searched.stderr
    found = json.loads(searched.stdout)
    assert [(each["y"], each["x"], each["sample"]) for each in found["candidates"]] == [(20, 9, 8)]

    port = free_port()
    start = "import sys; from servers.ingest.command import run_proc_server as run; run()"
    words = ["--gridsize", "32", "--no-classify", "--port", str(port), "--SNRthresh", "8", "--threads", "1"]
    begun = run(tmp_path, "-c", start, *words)
    assert begun.returncode == 0, begun.stderr
    try:
        for _ in range(60):
            sent = run(tmp_path, "-m", "servers.main", "correlator", "send", "cube.npy", "--port", str(port))
            if sent.returncode == 0:
                break
        assert sent.returncode == 0, (sent.stderr, (tmp_path / "var" / "process_log.txt").read_text())
        asyncio.run(_until_written(tmp_path))
        second = run(tmp_path, "-c", start, *words)
        assert second.returncode == 1 and "runs already" in second.stderr
    finally:
        ended = run(tmp_path, "-c", "from servers.ingest.command import kill_proc_server as kill; kill()")
    assert "is stopped" in ended.stdout, ended
    refused = run(tmp_path, "-c", start, "--maxProcesses", "41")
    assert refused.returncode == 1 and "[4, 40]" in refused.stderr and "Traceback" not in refused.stderr


async def _until_written(folder: Path) -> None:
    records = folder / "var" / "results"
    await until(lambda: list(records.glob("candidates/*/*.json")), "a candidate is written", 60.0)
