"""The properties of a SAXS detector."""

from __future__ import annotations

from dataclasses import dataclass

from devices.core import Properties, setting
from devices.drivers.detector_image import MAX_FILE_BYTES


@dataclass(frozen=True)
class SaxsProperties(Properties):
    """Where images and calibration are, and what clients may name."""

    folder: str = setting(doc="The folder that the detector writes to; absolute")
    calibration: str = setting("", doc="The calibration to begin with; empty: calibration.json in the folder")
    allowed_folders: tuple[str, ...] = setting(
        (), doc="Folders, beside the watched one, whose files clients may name, with all below them; / for any file"
    )
    watch: bool = setting(True, doc="Whether the folder is watched, until a client switches that")
    period: float = setting(1.0, doc="How often the folder is looked at, s", limits=(0.05, 3600.0))
    attempts: int = setting(3, doc="How often an unreadable file is tried before it is given up", limits=(1, 1000))
    max_image_bytes: int = setting(MAX_FILE_BYTES, doc="Larger files are refused", limits=(1, 1 << 32))
    largest_image: tuple[int, int] = setting(
        (1043, 981), doc="Rows and columns of the largest frame that is published", limits=(1, 32768)
    )
