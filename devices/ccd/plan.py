"""One exposure: what was decided before anything moved, and what became of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from devices.ccd.controller_link import RawImage
from devices.ccd.detector_setup import DetectorSetup
from devices.ccd.file_name import FileType
from devices.ccd.image_type import ImageType
from devices.pipelines.ccd.ccd_image import Card, CcdImage, Group, Measurements
from devices.pipelines.ccd.detector import Geometry
from devices.pipelines.ccd.wcs import Sky


@dataclass(frozen=True)
class Target:
    """Where an image is written, and how.

    Attributes:
        overwrites: a file of this name.
        compresses: its pixels, without loss.
        is_announced: by an empty file NAME.OK, once it is complete.
    """

    path: Path
    file_type: FileType
    overwrites: bool = False
    compresses: bool = False
    is_announced: bool = False


@dataclass(frozen=True)
class Plan:
    """An exposure as it was asked for; every argument has been checked.

    Attributes:
        seconds: of integration, >= 0.
        target: None: the image is not written.
        flushes: how often the detector is cleared before.
        lamps_on: a comparison's lamps burn already, being those of a sequence.
        keeps_lamps: they go on burning after it.
        row_delay: before each row of the read-out, s; None: the controller knows no such thing.
        scans: the read-out is a time-delayed integration, with the shutter open where light is wanted.
        in_background: nobody waits for the file.
    """

    seconds: float
    image_type: ImageType
    title: str
    setup: DetectorSetup
    geometry: Geometry
    target: Target | None
    flushes: int = 1
    lamps_on: bool = False
    keeps_lamps: bool = False
    is_test: bool = False
    row_delay: float | None = None
    scans: bool = False
    in_background: bool = False

    @property
    def opens_during_readout(self) -> bool:
        """Whether the shutter is open while the detector is read."""
        return self.image_type.opens_during_readout or (self.scans and self.image_type.opens_shutter)


@dataclass
class Exposure:
    """One exposure from its begin to its end.

    Attributes:
        began: of the first integration, s since 1970; 0.0: it has not begun.
        integrated: s, without the time that it was paused.
        paused: s.
        ended: of the last integration, s since 1970.
        raw: the image as the controller gave it.
        image: the same, as amplifiers with all their keywords.
        groups: keywords of each tool, as they were before the integration.
        sky: where the telescope pointed then.
        cards: further keywords of the exposure.
        measured: what the controller measured of itself after the read-out.
        problems: what did not go well, and did not end the exposure.
    """

    plan: Plan
    began: float = 0.0
    integrated: float = 0.0
    paused: float = 0.0
    ended: float = 0.0
    raw: RawImage | None = None
    image: CcdImage | None = None
    groups: dict[str, Group] = field(default_factory=dict)
    sky: Sky | None = None
    cards: list[Card] = field(default_factory=list)
    measured: Measurements | None = None
    problems: list[str] = field(default_factory=list)

    @property
    def exposure_time(self) -> float:
        """What the controller measured, or otherwise this host, s."""
        measured = None if self.raw is None else self.raw.seconds
        return self.integrated if measured is None else measured

    @property
    def dark_time(self) -> float:
        """From the begin of the integration to its end, pauses too, s."""
        return self.ended - self.began
