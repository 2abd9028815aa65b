"""The secret that clients of a native service say: the first line of a file."""

from __future__ import annotations

from typing import Final

from devices.core.errors import BadValueError
from devices.drivers.limited_file import read_limited

MOST_BYTES: Final = 1 << 16


def read_token(path: str, problems: list[str]) -> str:
    """The first line of a file, without blanks around it; "" where no file is named.

    Args:
        problems: what keeps it from being read is added here: unreadable, too long, not ASCII, empty.
    """
    if not path:
        return ""
    try:
        token = read_limited(path, MOST_BYTES).decode("ascii").split("\n")[0].strip()
    except (BadValueError, UnicodeDecodeError) as error:
        problems.append(f"token_file: {error}")
        return ""
    if not token:
        problems.append(f"token_file: the first line of {path} is empty")
    return token
