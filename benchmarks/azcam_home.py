"""Where azcam, a peer, is installed: in an environment of its own, made by ``make peers`` or who needs it first."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Final

AZCAM: Final = "azcam==26.0.5"
HOME: Final = Path(__file__).parents[1] / "build" / "azcam"


def azcam_python() -> Path | None:
    """The Python that has azcam; None where it cannot be installed."""
    python = HOME / "bin" / "python"
    if not python.exists():
        try:
            subprocess.run([sys.executable, "-m", "venv", str(HOME)], check=True, capture_output=True)
            install = [str(python), "-m", "pip", "install", "--quiet", AZCAM]
            subprocess.run(install, check=True, capture_output=True, timeout=300.0)
        except (OSError, subprocess.SubprocessError):
            return None
    works = subprocess.run([str(python), "-c", "import azcam.server"], capture_output=True, check=False)
    return python if works.returncode == 0 else None


if __name__ == "__main__":
    print(f"{AZCAM}: {azcam_python() or 'cannot be installed here'}")
