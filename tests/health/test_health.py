"""The health of a facility that runs: what dies, is halted, is stopped by request; and of the supervisor itself."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import tango

from servers.health.device import ROWS
from servers.health.processes import ProcessState, processes
from tests.facility.running import STAND_IN, Up, command, free_port, up, wait_for

SECONDS = 25.0  # 5 s without a beat, a look every 2 s, and a busy machine
DEVICE = "health/facility/1"


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    """A heater that is not ours, a kettle that is, and the health of both."""
    folder = tmp_path_factory.mktemp("health")
    servers = {
        "heater": {"StandIn": {"test/heater/1": {"properties": {}}}},
        "kettle": {"Kettle": {"test/kettle/1": {"properties": {}}}},
        "health": {"Health": {DEVICE: {"properties": {"state_dir": ["@state"]}}}},
    }
    path = folder / "bench.json"
    path.write_text(json.dumps({"servers": {"Diptych": servers}}))
    extra = {
        "ports": {"tango": free_port()},
        "programs": {"heater": [sys.executable, str(STAND_IN), "heater"]},
        "classes": {"Kettle": "tests.support.kettle:Kettle", "Health": "servers.health.device:Health"},
    }
    path.with_suffix(".facility.yaml").write_text(json.dumps(extra))
    with up(path, folder / "state") as running:
        yield running


@pytest.fixture(scope="module")
def health(bench: Up) -> tango.DeviceProxy:
    proxy = tango.DeviceProxy(f"tango://{bench.record()['tango_host']}/{DEVICE}")
    wait_for(lambda: read(proxy, "running") == 6, SECONDS, "all processes run")
    return proxy


def read(proxy: tango.DeviceProxy, name: str) -> Any:
    try:
        return proxy.read_attribute(name).value
    except tango.DevFailed:
        return None


def row_of(proxy: tango.DeviceProxy, name: str) -> str:
    """The number of the row of a process."""
    for number in range(1, ROWS + 1):
        if read(proxy, f"name_{number:02d}") == name:
            return f"{number:02d}"
    raise AssertionError(f"no row of {name}")


def state_of(proxy: tango.DeviceProxy, name: str) -> ProcessState:
    return ProcessState(read(proxy, f"state_{row_of(proxy, name)}"))


def test_every_process_has_a_row_the_supervisor_the_first(bench: Up, health: tango.DeviceProxy) -> None:
    names = [read(health, f"name_{n:02d}") for n in range(1, ROWS + 1)]
    assert names[0] == "facility"
    assert set(names) == {"facility", "guard", "database", "heater", "kettle", "health", ""}
    assert read(health, "processes") == 6
    assert read(health, "problem") == ""
    kettle, empty = row_of(health, "kettle"), names.index("") + 1
    assert read(health, f"pid_{kettle}") == bench.pid("kettle")
    assert read(health, f"state_{empty:02d}") == ProcessState.EMPTY


def test_figures_are_those_of_the_kernel(bench: Up) -> None:
    found = {each.name: each for each in processes(bench.state_dir)}
    for name in ("kettle", "heater"):
        process = psutil.Process(bench.pid(name))
        figures = found[name]
        assert figures.memory_bytes == pytest.approx(process.memory_info().rss, rel=0.2)
        assert 0 < figures.cpu_s <= sum(process.cpu_times()[:4]) + 1.0
        assert figures.threads >= 2 and figures.files >= 5
        assert figures.uptime_s > 0
    assert found["kettle"].beats > 0 and found["kettle"].lag_s is not None
    assert (found["heater"].beats, found["heater"].beat_age_s) == (0, None), "a server that is not ours has no pulse"
    assert found["facility"].pid == bench.record()["pid"]


def test_the_heart_beats(health: tango.DeviceProxy) -> None:
    beats = f"beats_{row_of(health, 'kettle')}"
    before = read(health, beats)
    wait_for(lambda: read(health, beats) > before, SECONDS, "the kettle's heart beats")


def test_a_killed_process_is_counted_and_back(bench: Up, health: tango.DeviceProxy) -> None:
    row = row_of(health, "heater")
    before = bench.pid("heater")
    os.kill(before, signal.SIGKILL)
    wait_for(lambda: read(health, f"restarts_{row}") == 1, SECONDS, "the restart is counted")
    wait_for(lambda: read(health, f"pid_{row}") not in (0, before), SECONDS, "its new pid is shown")
    wait_for(lambda: state_of(health, "heater") is ProcessState.RUNNING, SECONDS, "it runs")
    assert read(health, "restarts") == 1


@pytest.mark.parametrize("name", ["kettle", "heater", "facility"])
def test_a_process_that_is_halted_is_hung_and_an_alarm(bench: Up, health: tango.DeviceProxy, name: str) -> None:
    pid = bench.record()["pid"] if name == "facility" else bench.pid(name)
    row = row_of(health, name)
    os.kill(pid, signal.SIGSTOP)
    try:
        wait_for(lambda: read(health, f"state_{row}") == ProcessState.HUNG, SECONDS, f"{name} is seen to be hung")
        assert health.read_attribute(f"state_{row}").quality is tango.AttrQuality.ATTR_ALARM
        wait_for(lambda: name in (read(health, "problem") or ""), SECONDS, "the problem names it")
    finally:
        os.kill(pid, signal.SIGCONT)
    wait_for(lambda: read(health, f"state_{row}") == ProcessState.RUNNING, SECONDS, f"{name} runs again")
    wait_for(lambda: read(health, "problem") == "", SECONDS, "all is well")


def test_a_loop_that_does_not_turn_is_hung_though_its_process_runs(bench: Up, monkeypatch: pytest.MonkeyPatch) -> None:
    path = bench.state_dir / "run" / "heater.pulse"  # a server that is not ours, so nobody else writes it
    path.write_text(json.dumps({"pid": bench.pid("heater"), "count": 7, "at_s": 1.0, "lag_s": 0.25}))
    try:
        heater = next(each for each in processes(bench.state_dir) if each.name == "heater")
        assert heater.state is ProcessState.HUNG
        assert "no sign of life for" in heater.why and (heater.beats, heater.lag_s) == (7, 0.25)
        path.write_text(json.dumps({"pid": 1, "count": 7, "at_s": 1.0, "lag_s": 0.25}))
        heater = next(each for each in processes(bench.state_dir) if each.name == "heater")
        assert heater.state is ProcessState.RUNNING, "that pulse was of an earlier process"
    finally:
        path.unlink()


def test_what_is_stopped_by_request_is_no_alarm(bench: Up, health: tango.DeviceProxy) -> None:
    row = row_of(health, "kettle")
    assert command("stop", "kettle", "--state-dir", bench.state_dir).returncode == 0
    wait_for(lambda: read(health, f"state_{row}") == ProcessState.STOPPED, SECONDS, "it is stopped")
    reading = health.read_attribute(f"state_{row}")
    assert reading.quality is tango.AttrQuality.ATTR_WARNING
    assert read(health, f"pid_{row}") == 0
    wait_for(lambda: read(health, "problem") == "kettle: stopped by request", SECONDS, "the problem says so")
    assert command("serve", "kettle", "--background", "--state-dir", bench.state_dir).returncode == 0
    wait_for(lambda: read(health, f"state_{row}") == ProcessState.RUNNING, SECONDS, "it runs again")


def test_no_facility_has_no_processes(tmp_path: Path) -> None:
    assert processes(tmp_path) == []
