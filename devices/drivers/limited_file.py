"""Files that others name: plain ones of a limited size, read whole."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from devices.core.errors import BadValueError


def read_limited(path: str | Path, max_bytes: int) -> bytes:
    """The content of a plain file of at most `max_bytes`.

    Raises:
        BadValueError: there is no such file, or it cannot be opened, or it is larger.
    """
    try:
        # Of a pipe, to open it is not to wait for its writer then; whatever the name stands for, this file is judged.
        with open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK)) as file:
            status = os.fstat(file.fileno())
            if stat.S_ISREG(status.st_mode) and status.st_size <= max_bytes:
                return file.read(status.st_size)
    except IsADirectoryError as error:
        raise BadValueError(f"{path} is not a plain file") from error
    except OSError as error:
        raise BadValueError(f"{path} cannot be read: {error.strerror}") from error
    except ValueError as error:  # a NUL in the path
        raise BadValueError(f"{str(path)!r} is not a path: {error}") from error
    if not stat.S_ISREG(status.st_mode):
        raise BadValueError(f"{path} is not a plain file")
    raise BadValueError(f"{path} has {status.st_size} bytes, more than {max_bytes} bytes")
