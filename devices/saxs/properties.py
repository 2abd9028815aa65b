"""The properties of a SAXS detector."""

from __future__ import annotations

from dataclasses import dataclass

from devices.core import Properties, setting
from devices.core.errors import BadValueError
from devices.drivers.detector_image import MAX_FILE_BYTES

OUTPUTS = ("hdf5", "chi", "both", "none")


ERRORS = ("poisson", "spread")


def _known_error(text: str) -> None:
    if text not in ERRORS:
        raise BadValueError(f"{text!r} is none of {', '.join(ERRORS)}")


def _known_output(text: str) -> None:
    if text not in OUTPUTS:
        raise BadValueError(f"{text!r} is none of {', '.join(OUTPUTS)}")


@dataclass(frozen=True)
class SaxsProperties(Properties):
    """Where images and calibration are, and what clients may name."""

    folder: str = setting(doc="The folder that the detector writes to; absolute")
    calibration: str = setting("", doc="The calibration to begin with; empty: calibration.json in the folder")
    begins_alone: bool = setting(True, doc="Whether a queue begins with the calibration; otherwise clients begin them")
    allowed_folders: tuple[str, ...] = setting(
        (), doc="Folders, beside the watched one, whose files clients may name, with all below them; / for any file"
    )
    watch: bool = setting(True, doc="Whether the folder is watched, until a client switches that")
    polls: bool = setting(
        False, doc="Look for new images again and again: for file systems that other machines write to"
    )
    attempts: int = setting(5, doc="How often an unreadable file is tried before it is given up", limits=(1, 1000))
    errors: str = setting("poisson", doc="Of curves against q: poisson, or spread of the pixels", check=_known_error)
    outputs: str = setting("hdf5", doc="What is written of each image: hdf5, chi, both or none", check=_known_output)
    relative_output: str = setting("../work", doc="The folder of results, seen from the folder of an image")
    output_folder: str = setting("", doc="The folder of all results instead; absolute")
    runs: str = setting("", doc="Where queues are kept over a restart; absolute; empty: they are not")
    max_image_bytes: int = setting(MAX_FILE_BYTES, doc="Larger files are refused", limits=(1, 1 << 32))
    largest_image: tuple[int, int] = setting(
        (1043, 981), doc="Rows and columns of the largest frame that is published", limits=(1, 32768)
    )
