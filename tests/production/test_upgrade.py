"""The state of the release before this one: nothing of it is lost when this one takes it over."""

from __future__ import annotations

import io
import os
import re
import signal
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from tests.facility.running import CHECKOUT, wait_for
from tests.production.cold_site import DEVICE, write_site
from tests.support.demo_facility import free_offset

pytestmark = [pytest.mark.production, pytest.mark.timeout(500)]

#: What that release needs and this one does not; `make peers` puts it there.
ITS_PACKAGES = CHECKOUT / "build" / "release"
RELEASE = re.compile(r"^\| (\d+\.\d+\.\d+) \| ([0-9a-f]{40}) \|$", re.MULTILINE)


def checked_out(folder: Path) -> Path:
    """The code of the last release of docs/upgrading.md."""
    version, commit = RELEASE.findall((CHECKOUT / "docs" / "upgrading.md").read_text())[-1]
    parts = ["devices", "servers", "opi"]
    if not (ITS_PACKAGES / "dsconfig").exists():
        pytest.skip(f"release {version} needs dsconfig (make peers)")
    done = subprocess.run(["git", "archive", commit, *parts], cwd=CHECKOUT, capture_output=True, timeout=60.0)
    if done.returncode:
        pytest.skip(f"release {version} ({commit[:10]}) is not in this clone: {done.stderr.decode().strip()}")
    with tarfile.open(fileobj=io.BytesIO(done.stdout)) as archive:
        archive.extractall(folder, filter="data")
    return folder


class Release:
    """The `diptych` of one checkout, on one state directory."""

    def __init__(self, code: Path, site: Path, state: Path, offset: int) -> None:
        self._site, self._state, self._offset = site, state, offset
        self._command = [sys.executable, "-P", "-m", "servers.main"]
        self._environment = {**os.environ, "PYTHONPATH": f"{code}{os.pathsep}{ITS_PACKAGES}"}
        self._output = state.parent / f"{code.name}.log"

    def __enter__(self) -> Release:
        place = ["--state-dir", str(self._state), "--port-offset", str(self._offset)]
        with self._output.open("wb") as log:
            self._up = subprocess.Popen(
                [*self._command, "up", str(self._site), *place], stdout=log, stderr=log, env=self._environment
            )
        wait_for(lambda: self._up.poll() is not None or "READY" in self._output.read_text(), 180.0, "READY")
        assert "READY" in self._output.read_text(), self._output.read_text()
        return self

    def __exit__(self, *_: object) -> None:
        self._up.send_signal(signal.SIGTERM)
        self._up.wait(30.0)

    def run(self, *words: str) -> str:
        done = subprocess.run(
            [*self._command, *words, "--state-dir", str(self._state)],
            capture_output=True, text=True, timeout=100.0, env=self._environment,
        )  # fmt: skip
        assert done.returncode == 0, (words, done.stderr)
        return done.stdout


def test_what_clients_have_set_survives_the_upgrade(tmp_path: Path) -> None:
    old_code = checked_out(tmp_path / "old")
    site, state, offset = write_site(tmp_path / "site"), tmp_path / "var", free_offset()
    with Release(old_code, site, state, offset) as old:
        old.run("put", f"{DEVICE}/setpoint_1", "79.25")
        old.run("put", f"{DEVICE}/setpoint_2", "4.5")
        wait_for(lambda: "79.25" in old.run("call", f"{DEVICE}/memorized"), 30.0, "it is memorized")
    with Release(CHECKOUT, site, state, offset) as new:
        # The simulated instrument has begun anew, so its set points are others: the old ones are offered.
        status = wait_for(lambda: (s := new.run("get", f"{DEVICE}/Status")) and "memorized" in s and s, 60.0, "offers")
        assert "setpoint_1 = 79.25" in status and "setpoint_2 = 4.5" in status
        begun = [line for line in new.run("log", "--server", "facility").splitlines() if "starting cold" in line]
        assert len(begun) == 2, "the log of the old release is read, too"
        new.run("call", f"{DEVICE}/apply_memorized", "setpoint_1")
        wait_for(lambda: new.run("get", f"{DEVICE}/setpoint_1").startswith("79.25"), 30.0, "it is applied")
