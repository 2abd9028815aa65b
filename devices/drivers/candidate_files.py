"""The files of candidates: where they lie, how they are written, how many are kept.

Below the results folder: ``candidates`` (or ``injections``) / the time of the gulp / ``candidates.csv`` and for each
candidate NAME.json, NAME.npz (cut-out and dynamic spectrum), NAME.fits, NAME.png and NAME.xml (VOEvent). A file is
there as a whole or not at all.
"""

from __future__ import annotations

import io
import json
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from devices.core.errors import BadValueError, NotAllowedError, ProtocolError
from devices.drivers.allowed_folders import AllowedFolders
from devices.drivers.candidate_fits import candidate_fits
from devices.drivers.candidate_image import candidate_png
from devices.drivers.candidate_record import (
    CandidateContext,
    candidate_of,
    checked,
    is_isot,
    is_name,
    record_json,
    table,
)
from devices.drivers.candidate_voevent import voevent
from devices.drivers.limited_file import read_limited
from devices.pipelines.candidates.candidate import Candidate

KINDS: Final = ("candidates", "injections")
PRODUCTS: Final = ("npz", "fits", "png", "xml")
TABLE: Final = "candidates.csv"
MAX_RECORD_BYTES: Final = 1 << 20
MAX_TABLE_BYTES: Final = 16 << 20


def gulp_folder(folder: Path, candidate: Candidate) -> Path:
    """Where the files of a candidate lie.

    Raises:
        BadValueError: its name or time cannot be part of a path.
        NotAllowedError: a link leads out of the results folder.
    """
    checked(candidate)
    return AllowedFolders([folder]).resolve(Path(KINDS[candidate.injected]) / candidate.isot)


def write_candidate(
    folder: Path,
    candidate: Candidate,
    cutout: NDArray[np.float32],
    spectrum: NDArray[np.float32],
    context: CandidateContext,
    products: tuple[str, ...] = PRODUCTS,
) -> tuple[Path, ...]:
    """Write the files of a candidate; those of the same name are replaced.

    Args:
        folder: of the results; it is made.
        cutout: de-dispersed and centred; axes (channel, sample, y, x).
        spectrum: dynamic, not de-dispersed; axes (channel, sample).
        products: which files, besides the record and the table.
    Returns:
        The paths; the record is the last one, so whoever sees it finds the others.
    Raises:
        BadValueError: name or time are not fit for paths, or a product is not known.
        OSError: the disk is full or not writable.
    """
    makers: dict[str, Callable[[], bytes]] = {
        "npz": lambda: _npz(cutout, spectrum),
        "fits": lambda: candidate_fits(candidate, cutout, spectrum, context),
        "png": lambda: candidate_png(candidate, cutout, spectrum, context),
        "xml": lambda: voevent(candidate, context),
    }
    if unknown := set(products) - set(makers):
        raise BadValueError(f"products = {', '.join(sorted(unknown))}: known are {', '.join(PRODUCTS)}")
    place = gulp_folder(folder, candidate)
    place.mkdir(parents=True, exist_ok=True)
    written = [_write(place / f"{candidate.name}.{kind}", makers[kind]()) for kind in products]
    rows = place / TABLE
    before = read_limited(rows, MAX_TABLE_BYTES).decode() if rows.exists() else ""
    written.append(_write(rows, table(before, candidate).encode()))
    written.append(_write(place / f"{candidate.name}.json", record_json(candidate, context)))
    return tuple(written)


def read_candidate(path: Path) -> Candidate:
    """The candidate of a record, NAME.json.

    Raises:
        BadValueError: it cannot be read, or fields are missing.
        ProtocolError: it is no JSON object.
    """
    try:
        read = json.loads(read_limited(path, MAX_RECORD_BYTES))
    except ValueError as error:
        if isinstance(error, BadValueError):
            raise
        raise ProtocolError(f"{path} is no record of a candidate: {error}") from error
    if not isinstance(read, dict):
        raise ProtocolError(f"{path} is no record of a candidate: no JSON object")
    return candidate_of(read)


@dataclass(frozen=True)
class Retention:
    """What is kept of results: the newest gulps; the last one always, so that a small bound is not no result.

    Attributes:
        most_candidates: records that are kept. most_bytes: of all files.
    """

    most_candidates: int = 10_000
    most_bytes: int = 20 << 30

    def __post_init__(self) -> None:
        if self.most_candidates < 1 or self.most_bytes < 1:
            raise BadValueError(f"most_candidates = {self.most_candidates}, most_bytes = {self.most_bytes}: at least 1")

    def apply(self, folder: Path) -> int:
        """Remove the oldest gulps, each as a whole, until the rest is within bounds; how many were removed.

        Only folders that this module makes are touched: no links, no other names.
        """
        gulps = sorted(
            (path for kind in KINDS for path in (folder / kind).glob("*") if is_isot(path.name) and _is_folder(path)),
            key=lambda path: path.name,
            reverse=True,
        )
        candidates = used = 0
        for index, gulp in enumerate(gulps):
            files = [path for path in gulp.iterdir() if path.is_file()]
            candidates += sum(path.suffix == ".json" and is_name(path.stem) for path in files)
            used += sum(path.stat().st_size for path in files)
            if index and (candidates > self.most_candidates or used > self.most_bytes):
                for old in gulps[index:]:
                    shutil.rmtree(old)
                return len(gulps) - index
        return 0


def _is_folder(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink() and not path.parent.is_symlink()


def _npz(cutout: NDArray[np.float32], spectrum: NDArray[np.float32]) -> bytes:
    out = io.BytesIO()
    np.savez_compressed(out, cutout=cutout, dynamic_spectrum=spectrum)
    return out.getvalue()


def _write(path: Path, content: bytes) -> Path:
    part = path.with_name(f".{path.name}.part")
    if part.is_symlink() or path.is_symlink():
        raise NotAllowedError(f"{path} is a link: results are written to plain files")
    part.write_bytes(content)
    os.replace(part, path)
    return path
