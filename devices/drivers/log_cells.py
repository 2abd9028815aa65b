"""The cells of logs: columns of numbers or of texts, and names that stand for one column each."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

#: (rows,): float64, NaN where there is nothing; or object: texts, None where there is nothing.
Column = NDArray[Any]

MAX_TEXT: Final = 1000
_EMPTY: Final = frozenset(("", "nan", "none", "null", "-", "n/a"))
#: Characters that neither workbooks nor HDF5 take, and halves of characters.
_UNPLAIN: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")


def plain_text(text: str) -> str:
    """The text without control characters and surrounding spaces, cut to what a cell may hold."""
    return _UNPLAIN.sub("?", text.strip())[:MAX_TEXT]


def column_of(cells: Sequence[str | None]) -> Column:
    """A column of numbers when all cells are that or empty, else of texts. What is not finite counts as empty."""
    try:
        numbers = np.array([np.nan if _is_empty(cell) else float(str(cell)) for cell in cells])
        numbers[np.isinf(numbers)] = np.nan
        return numbers
    except ValueError:
        texts = np.empty(len(cells), object)
        texts[:] = [None if _is_empty(cell) else plain_text(str(cell)) for cell in cells]
        return texts


def _is_empty(cell: str | None) -> bool:
    return cell is None or cell.strip().lower() in _EMPTY


def unique_names(names: Iterable[str]) -> list[str]:
    """The names; one that stands there again becomes ``NAME.1``, ``NAME.2``, an empty one ``column``."""
    found: dict[str, None] = {}
    for name in names:
        unique, number = name or "column", 0
        while unique in found:
            number += 1
            unique = f"{name or 'column'}.{number}"
        found[unique] = None
    return list(found)
