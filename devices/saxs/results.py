"""What a queue of images tells: the curves of the newest image, its counts, the integral parameters of all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from devices.pipelines.saxs_parameters import IntegralParameters as IntegralParameters


@dataclass(frozen=True)
class Attachment:
    """A file that came with a calibration or a merge configuration: its name at the client, and its bytes."""

    filename: str
    data: bytes


@dataclass(frozen=True, eq=False)
class Curve:
    """One curve of an image.

    Args:
        kind: ``Radial`` for a mask (also by azimuth), ``Slice`` for a slice.
        index: its place among the curves of the calibration: masks first, then slices; ``Radial0``, ``Slice2``.
        settings: its entry of ``Masks`` or ``Slices``.
        x, intensity, sigma: (bins,); NaN in bins without pixels.
        labels: of the three columns.
        parameters: None for slices and curves by azimuth.
    """

    kind: Literal["Radial", "Slice"]
    index: int
    settings: Mapping[str, Any]
    x: NDArray[np.float64]
    intensity: NDArray[np.float64]
    sigma: NDArray[np.float64]
    labels: tuple[str, str, str]
    parameters: IntegralParameters | None = None

    @property
    def name(self) -> str:
        """Kind and index, ``Radial0``."""
        return f"{self.kind}{self.index}"


@dataclass(frozen=True, eq=False)
class ImageCurves:
    """The curves of one image.

    Args:
        image: the path of the image.
        output: the path of its results without suffix.
        time: when it was taken by its header, s since 1970; else when it was written.
    """

    image: str
    output: str
    time: float
    curves: tuple[Curve, ...]


@dataclass(frozen=True)
class QueueCounts:
    """How a queue stands.

    Args:
        processed: images since the queue began or was begun anew by a re-reading of its folder.
        waiting: images that wait or are tried again.
        started: s since 1970; changes when another queue replaces this one.
        failed: images that were given up.
        merges: merges that have ended since the device began.
    """

    processed: int
    waiting: int
    started: float
    failed: int = 0
    merges: int = 0


@dataclass
class Series:
    """The integral parameters of the images of a queue for one mask, in the order in which they were done."""

    time: list[float] = field(default_factory=list)
    file: list[str] = field(default_factory=list)
    i0: list[float] = field(default_factory=list)
    i1: list[float] = field(default_factory=list)
    i2: list[float] = field(default_factory=list)

    def add(self, time: float, file: str, parameters: IntegralParameters) -> None:
        self.time.append(time)
        self.file.append(file)
        self.i0.append(parameters.i0)
        self.i1.append(parameters.i1)
        self.i2.append(parameters.i2)
