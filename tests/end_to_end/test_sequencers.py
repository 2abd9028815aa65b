"""The snippets of docs/sequencers.md, run as they stand there against the demo."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.demo_facility import Facility
from tests.support.serving import ROOT

pytestmark = [pytest.mark.long, pytest.mark.timeout(300)]
pytest.importorskip("bluesky", reason="bluesky is not installed")
pytest.importorskip("ophyd_async", reason="ophyd-async is not installed")

PAGE = ROOT / "docs" / "sequencers.md"


def blocks(title: str) -> list[tuple[str, str]]:
    """Language and text of every block of a section."""
    found = re.search(rf"^## {re.escape(title)}$(.*?)(?=^## |\Z)", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    assert found, title
    return re.findall(r"^```(sh|python)\n(.*?)^```$", found[1], re.MULTILINE | re.DOTALL)


def files_of(facility: Facility, title: str, folder: Path) -> None:
    """Make the device files of a section, as its shell block does."""
    language, text = blocks(title)[0]
    assert language == "sh"
    lines = [line for line in text.replace("\\\n", " ").splitlines() if line.startswith("diptych")]
    for line in lines:
        run(facility, ["bash", "-c", line], folder)


def run(facility: Facility, words: list[str], folder: Path) -> str:
    done = subprocess.run(words, cwd=folder, env=facility.environment, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr
    return done.stdout


def script(facility: Facility, title: str, folder: Path) -> str:
    """What the Python block of a section prints."""
    (folder / "script.py").write_text(next(text for language, text in blocks(title) if language == "python"))
    return run(facility, [sys.executable, "script.py"], folder)


def test_a_scan_over_the_temperature_has_a_curve_at_each(facility: Facility, tmp_path: Path) -> None:
    title = "A temperature scan in five minutes"
    files_of(facility, title, tmp_path)
    printed = script(facility, title, tmp_path)
    rows = re.findall(r"^([\d.]+) of ([\d.]+) K \((\d+),\) ([\d.]+) /nm$", printed, re.MULTILINE)
    assert len(rows) == 3, printed
    wanted = [float(row[1]) for row in rows]
    assert [target - wanted[0] for target in wanted] == pytest.approx([0.0, 1.0, 2.0], abs=0.02)
    # It has been within 1 K; while the image is waited for it may go on by some tenths.
    assert [float(row[0]) for row in rows] == pytest.approx(wanted, abs=1.5)
    assert all(int(row[2]) > 100 and 1.0 < float(row[3]) < 1.15 for row in rows)  # the demo's ring at 1.076 /nm


@pytest.mark.long
def test_exposures_name_their_files_and_operations_run_in_plans(facility: Facility, tmp_path: Path) -> None:
    files_of(facility, "Exposures with file names", tmp_path)
    printed = script(facility, "Exposures with file names", tmp_path)
    rows = re.findall(r"^FITS (\S+) (\S+\.fits)$", printed, re.MULTILINE)
    assert len(set(rows)) == 2 and all(Path(*row).is_file() for row in rows), printed
    assert "idle" in script(facility, "Operations in plans", tmp_path)


@pytest.mark.long
def test_ophyd_moves_to_where_it_is_and_further_and_exposes_at_each(facility: Facility, tmp_path: Path) -> None:
    files_of(facility, "ophyd", tmp_path)
    rows = re.findall(r"^([\d.]+) K (0\.2\d*)$", script(facility, "ophyd", tmp_path), re.MULTILINE)
    kelvin = [float(row[0]) for row in rows]
    assert [each - kelvin[0] for each in kelvin] == pytest.approx([0.0, 0.0, 1.0], abs=0.011)


@pytest.mark.long
def test_ophyd_and_happi_find_the_same_devices(facility: Facility, tmp_path: Path) -> None:
    files_of(facility, "ophyd", tmp_path)
    (tmp_path / "look.py").write_text(
        "from classic import Cryo1\n"
        "cryo1 = Cryo1()\n"
        "cryo1.wait_for_connection(timeout=20)\n"
        "print(cryo1.temperature.readback.metadata['units'], cryo1.rate_1.limits)\n"
    )
    assert run(facility, [sys.executable, "look.py"], tmp_path) == "K (0.0, 1000.0)\n"
    pytest.importorskip("happi", reason="happi is not installed")
    files_of(facility, "happi", tmp_path)
    line = next(line for line in blocks("happi")[0][1].splitlines() if line.startswith("python"))
    assert "beamline.Cryo1" in run(facility, ["bash", "-c", line], tmp_path)
