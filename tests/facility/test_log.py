"""`diptych log` beside a facility that runs."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.facility.running import CHECKOUT, DIPTYCH, Up, command, free_port, up, wait_for, write_facility


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    folder = tmp_path_factory.mktemp("log")
    with up(write_facility(folder, free_port()), folder / "state") as running:
        yield running


def test_one_list_of_the_supervisor_and_its_processes(bench: Up) -> None:
    done = command("log", "--state-dir", bench.state_dir)
    assert done.returncode == 0, done.stderr
    assert "INFO     facility     starting bench" in done.stdout
    assert "database     Ready to accept request" in done.stdout
    assert "\x1b" not in done.stdout, "colours are for terminals"
    entries = [
        json.loads(line)
        for line in command("log", "--json", "--server", "facility", "--state-dir", bench.state_dir).stdout.splitlines()
    ]
    assert [each["time"] for each in entries] == sorted(each["time"] for each in entries)
    assert {each["server"] for each in entries} == {"facility"}


def test_what_happens_is_followed(bench: Up, tmp_path: Path) -> None:
    output = tmp_path / "followed"
    words = [*DIPTYCH, "log", "--follow", "--level", "WARNING", "--state-dir", str(bench.state_dir)]
    with output.open("wb") as file:
        following = subprocess.Popen(
            words,
            stdout=file,
            stderr=subprocess.STDOUT,
            env={**os.environ, "PYTHONPATH": str(CHECKOUT)},
            # Tests that run in the background of a shell ignore SIGINT, and what they start would, too.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
    try:
        before = bench.pid("heater")
        os.kill(before, signal.SIGKILL)
        wait_for(lambda: "heater was ended by SIGKILL" in output.read_text(), 20.0, "the end of the heater")
        wait_for(lambda: bench.pid("heater") != before, 10.0, "the heater is started again")
        assert "INFO" not in output.read_text()
    finally:
        following.send_signal(signal.SIGINT)
        assert following.wait(10.0) == 0


def test_a_folder_without_a_log_is_one_line(tmp_path: Path) -> None:
    done = command("log", "--state-dir", tmp_path)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "there is no log in" in done.stderr
