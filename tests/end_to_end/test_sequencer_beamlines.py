"""The snippets of docs/sequencers-beamlines.md, run as they stand there against the demo."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.demo_facility import Facility
from tests.support.serving import ROOT

pytestmark = [pytest.mark.long, pytest.mark.timeout(300)]
PAGE = ROOT / "docs" / "sequencers-beamlines.md"


def printed(facility: Facility, title: str, folder: Path) -> list[str]:
    """What the Python block of a section prints."""
    found = re.search(rf"^## {title}$.*?^```python\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    assert found, title
    (folder / "script.py").write_text(found[1])
    words = [sys.executable, "script.py"]
    done = subprocess.run(words, cwd=folder, env=facility.environment, capture_output=True, text=True, timeout=240.0)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.splitlines()


def test_the_calls_of_bliss_count_move_and_are_refused(facility: Facility, tmp_path: Path) -> None:
    units, there, refusal = printed(facility, "BLISS", tmp_path)
    assert units == "['temperature_a K', 'temperature_b K']"
    assert there in ("at -1", "at 0", "at 1")
    assert refusal.startswith("RangeError setpoint_1 = 5000.0 K")


def test_the_calls_of_mxcube_wait_for_a_temperature_over_tango(facility: Facility, tmp_path: Path) -> None:
    states, late, refusal = printed(facility, "MXCuBE over Tango", tmp_path)
    assert states.startswith("['BUSY'") and states.endswith("'READY']")
    assert late == "not within 0.5 s, it goes on"
    assert refusal.startswith("RangeError setpoint_1 = 5000.0 K")


def test_the_calls_of_mxcube_follow_a_temperature_over_channel_access(facility: Facility, tmp_path: Path) -> None:
    pytest.importorskip("epics", reason="pyepics is not installed")
    there, refusal = printed(facility, "MXCuBE over Channel Access", tmp_path)
    assert there in ("at -1 K", "at 0 K", "at 1 K")
    assert refusal.startswith("RangeError: CRYO1:Setpoint1 = 5000.0")
