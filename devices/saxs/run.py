"""A run of a SAXS queue, as it lies on disk: calibration, masks and folder of the images. It survives its server."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from devices.core.errors import BadValueError, ConfigurationError, NotAllowedError
from devices.drivers.allowed_folders import AllowedFolders
from devices.drivers.chi_file import write_whole
from devices.drivers.limited_file import read_limited
from devices.drivers.mask_file import decode_mask
from devices.drivers.saxs_calibration import Calibration, parse_calibration
from devices.saxs.plan import Plan
from devices.saxs.results import Attachment

DESCRIPTION: Final = "run.json"
STOP: Final = "stop"
MAX_MASK_BYTES: Final = 64 << 20
MAX_DESCRIPTION_BYTES: Final = 4 << 20
#: The longest curve, bins: 128 KiB, so that curves travel with the scalars and not with the images.
MOST_BINS: Final = 16384


@dataclass(frozen=True)
class Run:
    """What a queue does with every image.

    Args:
        folder: where the run is kept.
        base: the folder that results are confined to.
        allowed: the folders that images are confined to; the first one is `base`.
        images: the folder of the images, with all below it.
        document: the calibration as it came.
        attachments: the mask files as they came, or as they were read; one for each mask that has a file, in order.
        started: s since 1970.
        covers_all: images that were there before the run began belong to it, too.
        is_closed: no more images are taken.
        spread: whether errors are how much the pixels of a bin differ, and not by Poisson.
        source: the calibration file that the server read by itself; empty: the calibration came from a client.
    """

    folder: Path
    base: Path
    allowed: AllowedFolders
    images: Path
    document: Mapping[str, Any]
    attachments: tuple[Attachment, ...]
    started: float
    covers_all: bool = False
    is_closed: bool = False
    source: str = ""
    spread: bool = False

    @property
    def calibration(self) -> Calibration:
        return parse_calibration(self.document, self.subject, self.base)

    @property
    def subject(self) -> str:
        """What errors call the calibration."""
        return self.source or "calibration"

    @property
    def stop_file(self) -> Path:
        """Workers end with the image they have as soon as this file is there."""
        return self.folder / STOP

    def plan(self) -> Plan:
        """Tabulate the integrators; some tenths of a second.

        Raises:
            ConfigurationError, BadValueError, ProtocolError: calibration or masks are wrong.
        """
        calibration = self.calibration
        return Plan(calibration, decoded_masks(calibration, self.attachments), self.subject, spread=self.spread)

    def save(self) -> None:
        """Keep the run on disk, for workers and for a restart."""
        self.folder.mkdir(parents=True, exist_ok=True)
        for index, attachment in enumerate(self.attachments):
            write_whole(self.folder / f"mask{index}", attachment.data)
        description = {
            "allowed": [str(each) for each in self.allowed.folders],
            "images": str(self.images),
            "calibration": self.document,
            "masks": [attachment.filename for attachment in self.attachments],
            "started": self.started,
            "covers_all": self.covers_all,
            "is_closed": self.is_closed,
            "source": self.source,
            "spread": self.spread,
        }
        write_whole(self.folder / DESCRIPTION, json.dumps(description).encode())

    def forget(self) -> None:
        """Remove what is kept of the run."""
        shutil.rmtree(self.folder, ignore_errors=True)


def new_run(
    folder: Path,
    allowed: AllowedFolders,
    document: Mapping[str, Any],
    attachments: Sequence[Attachment] = (),
    source: str = "",
    *,
    spread: bool = False,
) -> Run:
    """A run for a calibration that came from a client.

    Args:
        folder: where it is to be kept; it need not exist.
        allowed: the base folder and others; the images and masks that the calibration names are confined to it.
        attachments: the masks, in the order of those entries of Masks that name a file; the rest is read here.
    Raises:
        ConfigurationError: wrong entries, with their keys. NotAllowedError: the directory leads outside.
    """
    base = Path(os.path.realpath(allowed.folders[0]))
    calibration = parse_calibration(document, source or "calibration", base)
    problems = [
        f"Masks[{index}].PixelPerRadialElement: {mask.geometry.pixels_per_bin} px gives {mask.geometry.bins} bins, "
        f"at most {MOST_BINS} are published"
        for index, mask in enumerate(calibration.masks)
        if mask.geometry.bins > MOST_BINS
    ]
    if problems:
        raise ConfigurationError(source or "calibration", problems)
    components = [part for part in calibration.directory if part]
    images = allowed.resolve(Path(*components) if components else Path("."))
    files = [(index, mask.file) for index, mask in enumerate(calibration.masks) if mask.file is not None]
    if len(attachments) > len(files):
        raise ConfigurationError(
            "calibration", [f"{len(attachments)} masks came, the calibration names {len(files)} mask files"]
        )
    given = list(attachments)
    for index, file in files[len(given) :]:
        try:
            given.append(Attachment(str(file), read_limited(allowed.resolve(file), MAX_MASK_BYTES)))
        except (BadValueError, NotAllowedError) as error:
            raise ConfigurationError("calibration", [f"Masks[{index}].MaskFile: {error}"]) from error
    real = AllowedFolders([base, *allowed.folders[1:]])
    return Run(folder, base, real, images, dict(document), tuple(given), time.time(), source=source, spread=spread)


def kept_run(folder: Path) -> Run | None:
    """The run that is kept in a folder; None when there is none.

    Raises:
        BadValueError: what is kept cannot be read.
    """
    file = folder / DESCRIPTION
    if not file.exists() or (folder / STOP).exists():
        return None
    try:
        description = json.loads(read_limited(file, MAX_DESCRIPTION_BYTES))
        attachments = tuple(
            Attachment(name, read_limited(folder / f"mask{index}", MAX_MASK_BYTES))
            for index, name in enumerate(description["masks"])
        )
        allowed = AllowedFolders([Path(each) for each in description["allowed"]])
        return Run(
            folder,
            allowed.folders[0],
            allowed,
            Path(description["images"]),
            description["calibration"],
            attachments,
            float(description["started"]),
            bool(description["covers_all"]),
            bool(description["is_closed"]),
            str(description["source"]),
            bool(description.get("spread", False)),
        )
    except (ValueError, KeyError, TypeError) as error:
        raise BadValueError(f"{file} cannot be read: {error!r}") from error


def decoded_masks(calibration: Calibration, attachments: Sequence[Attachment]) -> list[NDArray[np.bool_] | None]:
    """The masked pixels of each of a calibration's masks, (rows, columns), in order; None where nothing is masked.

    Raises:
        ProtocolError: a file is no mask.
    """
    rest = iter(attachments)
    masks: list[NDArray[np.bool_] | None] = []
    for mask in calibration.masks:
        attachment = next(rest, None) if mask.file is not None else None
        masks.append(None if attachment is None else decode_mask(attachment.data, attachment.filename))
    return masks
