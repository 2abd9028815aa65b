"""docs/sequencers-queue.md as it stands there: bluesky-queueserver with a Redis server runs a plan on the demo."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.facility.running import free_port, wait_for
from tests.support.demo_facility import BIN, Facility
from tests.support.serving import ROOT

pytestmark = [pytest.mark.long, pytest.mark.timeout(400)]
pytest.importorskip("bluesky_queueserver", reason="bluesky-queueserver is not installed")
pytest.importorskip("ophyd_async", reason="ophyd-async is not installed")

PAGE = ROOT / "docs" / "sequencers-queue.md"


def block(title: str, language: str) -> str:
    """The one block of a language in a section."""
    (section,) = re.findall(rf"^## {title}$(.*?)(?=^## |\Z)", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    (text,) = re.findall(rf"^```{language}\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)
    return str(text)


@contextmanager
def program(words: list[str], folder: Path, environment: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    with (folder / f"{Path(words[0]).name}.log").open("wb") as log:
        process = subprocess.Popen(
            words, cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT
        )
    try:
        yield process
    finally:
        process.terminate()
        process.wait(30.0)


def answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_a_plan_of_the_queue_scans_the_temperature(facility: Facility, tmp_path: Path) -> None:
    if shutil.which("redis-server") is None:
        assert "CI" not in os.environ, "CI installs redis-server"
        pytest.skip("redis-server is not installed")
    redis, control, info = free_port(), free_port(), free_port()
    environment = {
        **facility.environment,
        "QSERVER_ZMQ_CONTROL_ADDRESS": f"tcp://127.0.0.1:{control}",
        "IPYTHONDIR": str(tmp_path),
    }
    startup = tmp_path / "startup"
    startup.mkdir()
    made, start = block("Start", "sh").splitlines()[2:]
    subprocess.run(["bash", "-c", made], cwd=tmp_path, env=environment, check=True, timeout=120.0)
    (startup / "10-beamline.py").write_text(block("Start", "python"))
    (startup / "user_group_permissions.yaml").write_text(block("Start", "yaml"))
    for documented, port in (("6379", redis), ("60615", control), ("60625", info)):
        assert documented in start
        start = start.replace(documented, str(port))
    with ExitStack() as stack:
        save = ["--save", "", "--dir", str(tmp_path)]
        words = ["redis-server", "--bind", "127.0.0.1", "--port", str(redis), *save]
        stack.enter_context(program(words, tmp_path, environment))
        wait_for(lambda: answers(redis), 30.0, "Redis answers")
        manager = stack.enter_context(program([str(BIN / start.split()[0]), *start.split()[1:]], tmp_path, environment))
        wait_for(lambda: manager.poll() is not None or answers(control), 90.0, "the manager answers")
        (tmp_path / "client.py").write_text(block("Put a plan into the queue", "python"))
        words = [sys.executable, "client.py"]
        done = subprocess.run(words, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=240.0)
        log = (tmp_path / "start-re-manager.log").read_text()
        assert done.returncode == 0, done.stdout + done.stderr + log
        assert done.stdout == "temperature_scan anna completed \n", log
