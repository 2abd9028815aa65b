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


def set_line(path: Path, name: str, line: str) -> None:
    """Put a line in the place of that of the same name, or behind all; in one step, so that nobody reads half a file.

    A new file is for its owner alone; one that is there keeps its owner and mode.
    """
    before = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    kept = [each for each in before if each.partition(":")[0].strip() != name]
    draft = path.with_name(f"{path.name}.new")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write("".join(f"{each}\n" for each in (*kept, line)))
        if path.exists():
            found = path.stat()
            os.fchown(descriptor, found.st_uid, found.st_gid)
            os.fchmod(descriptor, stat.S_IMODE(found.st_mode))
    os.replace(draft, path)
