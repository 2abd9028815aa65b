"""What a device gives as JSON, from whatever its calculations are made of."""

from __future__ import annotations

import enum
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from devices.core.datatype import label
from devices.core.errors import BadValueError


def json_value(value: Any, name: str) -> Any:
    """A value of texts, numbers, lists and objects as JSON knows them; NaN and infinities become null.

    Args:
        value: may have numpy numbers and arrays, enumeration members (by label) and paths in it, at any depth.
        name: what it is, for the error.
    Raises:
        BadValueError: something in it is none of these; the text says where.
    """
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    if isinstance(value, enum.Enum):
        return label(value)
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, Mapping):
        return {_key(key, name): json_value(each, f"{name}.{key}") for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [json_value(each, f"{name}[{index}]") for index, each in enumerate(value)]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, bool | int | str):
        return value
    raise BadValueError(f"{name} = {value!r:.80} is nothing that JSON knows")


def _key(key: Any, name: str) -> str:
    if isinstance(key, enum.Enum):
        return label(key)
    if isinstance(key, str | int):
        return str(key)
    raise BadValueError(f"{name} has the key {key!r:.80}, which is not a text")
