"""Two facilities on one host, one of them in very long paths: each has its own clients, and they only see their own."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.clients.bench import Bench
from tests.clients.bench import bench as running_bench
from tests.clients.process import ClientProcess
from tests.facility import running
from tests.facility.running import CHECKOUT, wait_for

LONG = 100  # characters; a socket in the file system may have 107, a PV's STRING 39


def _get_everywhere(pv: str) -> dict[str, float]:
    """What each protocol of this environment has."""
    import tango
    from caproto.sync.client import read
    from p4p.client.thread import Context

    with Context("pva") as context:
        return {
            "ca": float(read(pv, timeout=5.0).data[0]),
            "pva": float(context.get(pv, timeout=10.0)),
            "tango": float(tango.DeviceProxy("bench/spectrograph/1").read_attribute("fast").value),
        }


def _run(environment: Mapping[str, str], *words: str) -> str:
    """A command of a shell after ``eval "$(diptych env)"``."""
    done = subprocess.run(
        [sys.executable, "-P", "-m", "servers.main", *words],
        env=dict(environment), capture_output=True, text=True, timeout=60.0, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.fixture
def long_checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the project at a path of more than 100 characters, from which a facility is run."""
    folder = tmp_path
    while len(str(folder)) < LONG:
        folder /= "observatory-of-the-far-side"
    checkout = folder / "diptych"
    for part in ("devices", "servers", "tests", "dbconfig"):
        shutil.copytree(CHECKOUT / part, checkout / part, ignore=shutil.ignore_patterns("__pycache__", "node_modules"))
    monkeypatch.setattr(running, "CHECKOUT", checkout)
    monkeypatch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)
    return checkout


@pytest.mark.long
def test_each_facility_is_seen_by_its_own_clients_only(bench: Bench, long_checkout: Path) -> None:
    state_dir = long_checkout / "var"
    assert len(str(state_dir)) > LONG
    with running_bench(long_checkout / "facility", state_dir) as other:
        assert other.environment["DIPTYCH_STATE_DIR"] == str(state_dir)
        bench.publish("fast", 1.25)
        other.publish("fast", 98.75)
        for facility, volts in ((bench, 1.25), (other, 98.75)):
            client = ClientProcess(facility.environment)
            try:
                everywhere = {"ca": volts, "pva": volts, "tango": volts}
                wait_for(lambda c=client, e=everywhere: c(_get_everywhere, "SPEC1:Fast") == e, 15.0, str(everywhere))
            finally:
                client.close()
            printed = _run(facility.environment, "get", "bench/spectrograph/1/fast")
            assert float(printed.split()[-1]) == volts
        path = str(long_checkout / "data" / "frame_0001.fits")
        assert len(path) > LONG
        _run(other.environment, "put", "bench/spectrograph/1/a_string", path)
        assert _run(other.environment, "get", "bench/spectrograph/1/a_string").split()[-1] == path
        assert list((long_checkout / "servers" / "epics").rglob("*.pyc")), "its programs are those at the long path"
    # The other one is gone, this one goes on.
    bench.publish("fast", 2.5)
    client = ClientProcess(bench.environment)
    try:
        wait_for(lambda: client(_get_everywhere, "SPEC1:Fast")["pva"] == 2.5, 15.0, "the first facility")
    finally:
        client.close()
