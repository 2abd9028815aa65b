"""``diptych shell``: devices as objects, azcam's names, the examples of the documentation; on one simulated camera."""

from __future__ import annotations

import inspect
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from astropy.io import fits

from devices.core.errors import (
    AbortedError,
    BadValueError,
    InvalidReadingError,
    NotConnectedError,
    RangeError,
    UnknownNameError,
)
from servers.facility import record
from servers.shell import command
from servers.shell.mock import mock_camera
from servers.shell.names import names_of
from servers.shell.plot import plot
from tests.facility.running import wait_for

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "ccd-azcam.md").read_text()
EXAMPLES = re.findall(r"^```python\n(.*?)^```$", PAGE.split("## azcam's examples")[1], re.MULTILINE | re.DOTALL)

SCRIPTS = re.findall(
    r"^```python\n(.*?)^```$",
    (ROOT / "docs" / "ccd.md").read_text().split("## azcam's examples")[1].split("\n## ")[0],
    re.MULTILINE | re.DOTALL,
)


@pytest.fixture(scope="module")
def camera(tmp_path_factory: pytest.TempPathFactory) -> Iterator[record.Running]:
    with mock_camera(tmp_path_factory.mktemp("mock")) as running:
        yield running


@pytest.fixture
def names(camera: record.Running, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, Any]:
    monkeypatch.setenv("MPLBACKEND", "agg")
    monkeypatch.chdir(tmp_path)
    return names_of(camera.tango_host)


def shell(camera: record.Running, *words: str, text: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "servers.main", "shell", "--tango-host", camera.tango_host, *words],
        cwd=ROOT,
        env={**os.environ, "MPLBACKEND": "agg", "IPYTHONDIR": "/nonexistent", "TERM": "dumb"},
        input=text,
        capture_output=True,
        text=True,
        timeout=90.0,
    )


def test_tools_and_devices_are_there_by_name(names: dict[str, Any]) -> None:
    db = names["db"]
    tools = ["controller", "display", "exposure", "focus", "instrument", "telescope", "tempcon"]
    assert sorted(db.tools) == tools and all(names[tool] is db.tools[tool] for tool in tools)
    assert db.devices["ccd/1/exposure"] is names["exposure"] and not db.missing
    assert re.fullmatch(r"<ccd/1/exposure, CcdExposure, (ON|ALARM)>", repr(names["exposure"]))
    assert {"expose", "set_roi", "last_filename", "rescue"} <= set(dir(names["exposure"]))
    assert list(inspect.signature(names["exposure"].expose).parameters) == [
        "exposure_time",
        "image_type",
        "image_title",
    ]
    assert "Give up" in names["exposure"].discard_unsaved.__doc__


def has_picture(display: Any) -> bool:
    """Whether it has shown an image."""
    try:
        return bool(display.image.size)
    except InvalidReadingError:
        return False


def test_an_image_is_taken_under_azcams_names_and_under_the_devices_own(names: dict[str, Any], tmp_path: Path) -> None:
    exposure, instrument = names["exposure"], names["instrument"]
    exposure.image_root = "shell."
    exposure.image_number = 17
    instrument.set_wavelength(650)
    assert instrument.wavelength == 650.0
    taken = exposure.expose(0.1, "flat", "a 650 nm flat")
    assert taken["file"] == exposure.last_filename and taken["file"].endswith("/shell.0017.fits")
    with fits.open(taken["file"]) as file:
        assert (file[0].header["OBJECT"], file[0].header["WAVLNGTH"]) == ("a 650 nm flat", 650.0)
    np.testing.assert_array_equal(exposure.roi, [1, 512, 1, 384, 1, 1])
    assert exposure.get_roi() == [1, 512, 1, 384, 1, 1]
    wait_for(lambda: has_picture(names["display"]), 10.0, "the display has made its picture")
    assert plot(names["display"].image, file=tmp_path / "last.png").endswith("last.png")
    assert (tmp_path / "last.png").read_bytes().startswith(b"\x89PNG")


def test_errors_are_those_of_the_camera(names: dict[str, Any]) -> None:
    exposure = names["exposure"]
    with pytest.raises(RangeError, match="image_type = 'nonsense' is none of"):
        exposure.expose(1.0, "nonsense")
    with pytest.raises(UnknownNameError, match="keyword NOSUCH"):
        exposure.get_keyword("NOSUCH")
    with pytest.raises(BadValueError, match="is no argument"):
        exposure.rescue(holder="x")
    with pytest.raises(AttributeError, match="no attribute or command exposee"):
        exposure.exposee()
    with pytest.raises(AttributeError, match="no attribute sahutter"):
        exposure.sahutter = 1
    with pytest.raises(BadValueError, match="cannot be plotted"):
        plot([])


def test_ctrl_c_aborts_what_is_waited_for(names: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    exposure = names["exposure"]
    naps: list[float] = []

    def interrupted(seconds: float) -> None:
        naps.append(seconds)
        if len(naps) == 3:
            raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        # Other threads of this process sleep, too: only the client's clock is changed.
        patched.setattr("servers.ccd_client.time", SimpleNamespace(sleep=interrupted, monotonic=time.monotonic))
        with pytest.raises(KeyboardInterrupt):
            exposure.expose(60.0, "dark")
    deadline = time.monotonic() + 10.0
    while not exposure.finished():
        assert time.monotonic() < deadline, exposure.exposure_state
        time.sleep(0.02)
    with pytest.raises(AbortedError):
        exposure._device.client.wait(exposure.operation_id)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda text: text.partition("\n")[0])
def test_each_example_of_the_documentation_works(names: dict[str, Any], example: str) -> None:
    exec(compile(example, "docs/ccd-azcam.md", "exec"), {**names, "time": time})


def test_there_are_as_many_examples_as_azcam_has_subjects() -> None:
    assert len(EXAMPLES) == 7


def test_scripts_do_what_azcams_examples_do(camera: record.Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TANGO_HOST", camera.tango_host)
    found: dict[str, Any] = {}
    for script in SCRIPTS:
        exec(compile(script, "docs/ccd.md", "exec"), found)
    assert found["image"].image_type == "flat"
    assert found["instrument"].wavelength == 450.0
    assert found["tempcon"].control_temperature == -100.0


def test_tab_completes_what_a_tool_has(names: dict[str, Any]) -> None:
    from IPython.core.interactiveshell import InteractiveShell

    python = InteractiveShell()
    python.Completer.use_jedi = False
    python.user_ns.update(names)
    assert "exposure.set_roi" in {f"exposure{each}" if each.startswith(".") else each
                                  for each in python.complete("exposure.set_r", "exposure.set_r")[1]}  # fmt: skip


def test_the_command_runs_code_and_a_startup_script(camera: record.Running, tmp_path: Path) -> None:
    script = tmp_path / "night.py"
    script.write_text(
        "def bias(count):\n    return [exposure.expose(0.0, 'zero')['image_type'] for _ in range(count)]\n"
    )
    done = shell(camera, "--startup", str(script), "-c", "print(bias(2)); print(sorted(db.tools)[:2])")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-2:] == ["['zero', 'zero']", "['controller', 'display']"]
    failed = shell(camera, "-c", "exposure.expose(1.0, 'nonsense')")
    assert failed.returncode == 1
    assert failed.stderr.startswith("error: image_type = 'nonsense' is none of")


def test_a_prompt_of_ipython_is_opened(camera: record.Running, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "servers.main", "shell", "--tango-host", camera.tango_host],
        cwd=ROOT,
        env={**os.environ, "MPLBACKEND": "agg", "IPYTHONDIR": str(tmp_path), "TERM": "dumb"},
        input="instrument.set_filter('R')\nprint('filter', instrument.get_filter())\nexit\n",
        capture_output=True,
        text=True,
        timeout=90.0,
    )
    assert done.returncode == 0, done.stderr
    assert "filter R" in done.stdout and "exposure, focus, instrument" in done.stdout


def test_without_a_facility_the_shell_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(NotConnectedError, match="no facility runs on"):
        command.run(tmp_path, None, mock=False, startup=None, code="pass")
