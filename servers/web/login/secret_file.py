"""Text files that nobody else may read: passwords and tokens."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from devices.core.errors import ConfigurationError

MAX_BYTES: Final = 1 << 20


def lines_of_secrets(path: Path, *, forbidden: int = stat.S_IRWXO) -> Iterator[tuple[int, str]]:
    """The lines of a file with their numbers, from 1, without empty ones and comments (``#``).

    Args:
        forbidden: what the file's mode may not allow.

    Raises:
        ConfigurationError: it cannot be read, or others can.
    """
    try:
        with path.open("rb") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            content = file.read(MAX_BYTES + 1)
        text = content.decode()
    except OSError as error:
        raise ConfigurationError(str(path), [f"cannot be read: {error.strerror}"]) from error
    except UnicodeDecodeError as error:
        raise ConfigurationError(str(path), [f"byte {error.start} is not UTF-8 text"]) from error
    if mode & forbidden:
        whom = "others than its owner" if forbidden & stat.S_IRWXG else "everybody on this host"
        raise ConfigurationError(
            str(path), [f"mode {mode:03o} is open to {whom}: chmod {mode & ~forbidden:03o} {path.name}"]
        )
    if len(content) > MAX_BYTES:
        raise ConfigurationError(str(path), [f"is longer than {MAX_BYTES} bytes"])
    for number, line in enumerate(text.split("\n"), 1):
        if (line := line.strip()) and not line.startswith("#"):
            yield number, line
