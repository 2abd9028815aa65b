"""Text files of SAXS curves, ``.chi``: four header lines, then columns of x, intensity and standard deviation.

For a curve against q the header is the calibration, the integral parameters and the column labels, each as JSON, and
the number of rows; for a slice its configuration, the labels, the word Intensity, and the number of rows.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from devices.core.errors import BadValueError, ProtocolError
from devices.drivers.limited_file import read_limited

HEADER_LINES = 4
MAX_FILE_BYTES = 64 << 20


def encode_radial(
    calibration: str,
    parameters: Mapping[str, float] | None,
    labels: Sequence[str],
    x: NDArray[np.float64],
    intensity: NDArray[np.float64],
    sigma: NDArray[np.float64],
) -> bytes:
    """The content of a file of a curve against q or azimuth; `calibration` is one line of JSON, the arrays (bins,)."""
    return _encode((calibration, json.dumps(dict(parameters or {})), json.dumps(list(labels))), x, intensity, sigma)


def encode_slice(
    settings: str,
    labels: Sequence[str],
    x: NDArray[np.float64],
    intensity: NDArray[np.float64],
    sigma: NDArray[np.float64],
) -> bytes:
    """The content of a file of a slice; `settings` is one line of JSON, the arrays (bins,)."""
    return _encode((settings, json.dumps(list(labels)), "Intensity"), x, intensity, sigma)


def _encode(
    head: tuple[str, str, str], x: NDArray[np.float64], intensity: NDArray[np.float64], sigma: NDArray[np.float64]
) -> bytes:
    columns = np.empty((len(x), 2))
    columns[:, 0], columns[:, 1] = intensity, sigma
    # All rows by one format whose x is text already: half the time of a format for each row.
    rows = _rows(x.tobytes()) % tuple(columns.ravel().tolist())
    return f"{head[0]}\n{head[1]}\n{head[2]}\n   {len(x)}{rows}\n ".encode()


@lru_cache(maxsize=64)
def _rows(x: bytes) -> str:
    return "".join(f"\n {value:.18e} %.18e %.18e" for value in np.frombuffer(x, np.float64).tolist())


def read_chi(path: str | Path) -> tuple[list[str], NDArray[np.float64]]:
    """The header lines of a file and its columns, (columns, rows); any number of columns from two on.

    Raises:
        BadValueError: there is no such file. ProtocolError: it is none of this kind.
    """
    text = read_limited(path, MAX_FILE_BYTES).decode(errors="replace")
    lines = text.splitlines()
    head, rows = lines[:HEADER_LINES], [line.split() for line in lines[HEADER_LINES:] if line.strip()]
    width = len(rows[0]) if rows else 0
    if len(head) < HEADER_LINES or width < 2 or any(len(row) != width for row in rows):
        raise ProtocolError(f"{path}: not {HEADER_LINES} header lines and columns of numbers")
    try:
        return head, np.array(rows, dtype=np.float64).T
    except ValueError as error:
        raise ProtocolError(f"{path}: {error}") from error


def write_whole(path: Path, content: bytes) -> None:
    """Let a file appear with all its content: who reads it sees the old one or the new one.

    Raises:
        BadValueError: it cannot be written, and why.
    """
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        part.write_bytes(content)
        os.replace(part, path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise BadValueError(f"{path} cannot be written: {error.strerror}") from error
