"""The snippets of docs/sequencers-clients.md, run as they stand there against the demo."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.demo_facility import Facility
from tests.support.serving import ROOT

pytestmark = pytest.mark.timeout(300)
PAGE = ROOT / "docs" / "sequencers-clients.md"
#: title -> (the module that it needs, what it says of a set point of 5000 K)
SCANS = {
    "caproto": ("caproto", "RangeError: CRYO1:Setpoint1 = 5000.0"),
    "pyepics": ("epics", "RangeError: CRYO1:Setpoint1 = 5000.0"),
    "p4p": ("p4p", "RangeError: CRYO1:Setpoint1 = 5000.0"),
    "PyTango": ("tango", "RangeError setpoint_1 = 5000.0 K"),
}


def snippet(title: str) -> str:
    found = re.search(rf"^## {re.escape(title)}$.*?^```python\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    assert found, title
    return found[1]


def run(facility: Facility, title: str, folder: Path, port: int = 0) -> str:
    """What a snippet prints; its port is shifted as the facility's are."""
    text = snippet(title)
    if port:
        assert str(port) in text
        text = text.replace(str(port), str(port + facility.offset))
    (folder / "settle.py").write_text(snippet("Waiting for a temperature"))
    (folder / "script.py").write_text(text)
    words = [sys.executable, "script.py"]
    done = subprocess.run(words, cwd=folder, env=facility.environment, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.long
@pytest.mark.parametrize("title", SCANS)
def test_a_scan_finds_the_ring_at_each_temperature_and_is_told_of_a_refusal(
    facility: Facility, title: str, tmp_path: Path
) -> None:
    module, refusal = SCANS[title]
    pytest.importorskip(module, reason=f"{module} is not installed")
    printed = run(facility, title, tmp_path)
    rows = re.findall(r"^([\d.]+) K: ring at ([\d.]+) /nm in 2 images$", printed, re.MULTILINE)
    assert len(rows) == 2, printed
    assert float(rows[1][0]) - float(rows[0][0]) == pytest.approx(1.0, abs=1.0)
    assert all(1.05 < float(row[1]) < 1.10 for row in rows)  # silver behenate: 2 pi / 5.838 nm
    assert f"refused: {refusal}" in printed


def test_an_image_over_the_sockets_of_azcam(facility: Facility, tmp_path: Path) -> None:
    printed = run(facility, "azcam's sockets", tmp_path, 2402)
    found = re.search(r"^image: '?(\S+?\.fits)'?$", printed, re.MULTILINE)
    assert found and Path(found[1]).is_file(), printed
    assert "refused: ERROR BadValueError" in printed and "soon" in printed


@pytest.mark.long
def test_an_image_over_alpaca(facility: Facility, tmp_path: Path) -> None:
    pytest.importorskip("alpaca", reason="alpyca is not installed")
    printed = run(facility, "Alpaca", tmp_path, 11112)
    assert re.search(r"^image: 512 x 384 pixels, 0\.2", printed, re.MULTILINE), printed
    assert re.search(r"^refused: .*Duration = -1", printed, re.MULTILINE), printed
