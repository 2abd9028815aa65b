"""The reference pages are those of the code as it is."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def test_the_reference_pages_are_up_to_date() -> None:
    files = sorted((ROOT / "dbconfig").glob("*.json"))
    words = [sys.executable, "-P", "-m", "servers.reference", "docs/reference", *map(str, files), "--check"]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=100.0)
    assert done.returncode == 0, f"{done.stdout}{done.stderr}: run `make docs`"
