"""JSON from outside."""

from __future__ import annotations

import json
from typing import Any


def read_json_text(text: str | bytes | bytearray) -> Any:
    """What a JSON text says.

    Raises:
        ValueError: it is no JSON, of another encoding, has a number of thousands of digits, or is nested too deeply,
            for which Python has an error of its own.
    """
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
