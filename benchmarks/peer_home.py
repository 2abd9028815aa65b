"""Where peers are installed whose demands on versions fit nothing else here: each in an environment of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Final

BUILD: Final = Path(__file__).parents[1] / "build"
#: For each: what pip installs, and a module that a working installation can import.
PEERS: Final = {"azcam": ("azcam==26.0.5", "azcam.server"), "sardana": ("sardana==3.7.1", "sardana.pool")}


def installed(name: str) -> Path | None:
    """The Python that has the peer, its programs beside it; None where it is not installed or does not work."""
    python = _python(name)
    if not python.exists():
        return None
    words = [str(python), "-c", f"import {PEERS[name][1]}"]
    return python if subprocess.run(words, capture_output=True, check=False).returncode == 0 else None


def install(name: str) -> Path | None:
    """As ``installed``, after an attempt to install what is missing; ``make peers`` does so for all."""
    python = _python(name)
    if not python.exists():
        try:
            subprocess.run([sys.executable, "-m", "venv", str(BUILD / name)], check=True, capture_output=True)
            words = [str(python), "-m", "pip", "install", "--quiet", PEERS[name][0]]
            subprocess.run(words, check=True, capture_output=True, timeout=300.0)
        except (OSError, subprocess.SubprocessError):
            return None
    return installed(name)


def _python(name: str) -> Path:
    return BUILD / name / "bin" / "python"


if __name__ == "__main__":
    for name, (requirement, _) in PEERS.items():
        print(f"{requirement}: {install(name) or 'cannot be installed here'}")
