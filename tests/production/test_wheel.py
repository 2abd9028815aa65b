"""A wheel, installed where there is no checkout: the demo runs from it, with panels and all its files."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

from tests.facility.running import CHECKOUT, wait_for
from tests.support.demo_facility import free_offset

pytestmark = [pytest.mark.production, pytest.mark.timeout(500)]


def built(folder: Path) -> Path:
    """The wheel of what git knows of this checkout, built without leaving anything in it."""
    source = folder / "source"
    names = subprocess.run(["git", "ls-files", "-z"], cwd=CHECKOUT, capture_output=True, check=True).stdout.split(b"\0")
    for name in filter(None, map(os.fsdecode, names)):
        if (
            (CHECKOUT / name).exists() and name.startswith(("devices/", "servers/", "dbconfig/", "opi/"))
        ) or "/" not in name:
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(CHECKOUT / name, source / name)
    words = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(source)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=200.0)
    assert done.returncode == 0, done.stdout + done.stderr
    return next(folder.glob("diptych-*.whl"))


def test_the_demo_runs_from_a_wheel_outside_the_checkout(tmp_path: Path) -> None:
    wheel, place, home = built(tmp_path), tmp_path / "venv", tmp_path / "home"
    home.mkdir()
    venv.create(place, with_pip=True)
    python, diptych = place / "bin" / "python", place / "bin" / "diptych"
    words = [str(python), "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", str(wheel)]
    subprocess.run(words, check=True, timeout=200.0)
    # What it depends on is that of this environment; the checkout itself is not to be seen, nor its editable install.
    (Path(sysconfig.get_path("purelib", vars={"base": str(place)})) / "there.pth").write_text(
        sysconfig.get_path("purelib") + "\n"
    )
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(diptych), *words], cwd=home, env=environment, capture_output=True, text=True, timeout=100.0
        )

    where = subprocess.run(
        [str(python), "-c", "import devices, servers.web; print(devices.__file__, servers.web.__file__)"],
        cwd=home, env=environment, capture_output=True, text=True, timeout=100.0,
    ).stdout  # fmt: skip
    assert str(CHECKOUT) not in where and str(place) in where
    output = home / "up.log"
    with output.open("wb") as log:
        up = subprocess.Popen(
            [str(diptych), "up", "--port-offset", str(free_offset())], cwd=home, env=environment, stdout=log, stderr=log
        )
    try:
        wait_for(lambda: up.poll() is not None or "READY" in output.read_text(), 240.0, output.read_text())
        assert "READY" in output.read_text(), output.read_text()
        assert run("get", "cryo/cryocon/1/temperature_a").stdout.strip().endswith(" K")
        assert run("panels", "--check", str(place / "share/diptych/dbconfig/demo.json"), "--folder",
                   str(place / "share/diptych/opi")).stderr == ""  # fmt: skip
    finally:
        up.send_signal(signal.SIGTERM)
        up.wait(30.0)
