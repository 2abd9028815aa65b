"""Files that only their owner may read: secrets of a network, keys."""

from __future__ import annotations

import contextlib
import os
import stat
import tempfile
from pathlib import Path


def write_private(path: Path, text: str) -> None:
    """Replace a file in one step, mode 0600; nobody sees half of it, and nobody else any of it."""
    path = Path(os.path.realpath(path))  # a link stays one
    descriptor, draft = tempfile.mkstemp(prefix=f"{path.name}.", dir=path.parent)  # mode 0600
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(descriptor)
        os.replace(draft, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(draft)
        raise


def open_to_others(path: Path) -> str | None:
    """What is wrong with the mode of a file, and how it is put right; None when only its owner may read it."""
    mode = stat.S_IMODE(path.stat().st_mode)
    return f"mode {mode:03o} is open to others than its owner: chmod 600 {path}" if mode & 0o077 else None
