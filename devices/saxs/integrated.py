"""From an image file to a curve: what runs in the executor."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from devices.core.errors import BadValueError
from devices.drivers.detector_image import read_detector_image
from devices.pipelines.saxs_geometry import Geometry, Polarization
from devices.pipelines.saxs_integrate import Profile, integrate_image
from devices.pipelines.saxs_peak import strongest_peak


@dataclass(frozen=True, eq=False)
class Integrated:
    """A frame and its curve; ``q_peak`` in nm^-1, the times as :class:`DetectorImage` has them."""

    frame: NDArray[Any]
    exposure_seconds: float | None
    timestamp: float | None
    profile: Profile
    q_peak: float | None


def integrate_detector_file(
    path: str,
    max_bytes: int,
    mask: NDArray[np.bool_] | None,
    geometry: Geometry,
    polarization: Polarization | None,
) -> Integrated:
    """Read a detector image and integrate it; one call, so that a process pool moves every frame only once.

    Args:
        mask: (rows, columns), True = masked.
    Raises:
        BadValueError, ProtocolError: see :func:`read_detector_image`; also when the frame does not fit the geometry.
    """
    image = read_detector_image(path, max_bytes)
    try:
        profile = integrate_image(image.data, mask, geometry, polarization)
    except ValueError as error:
        raise BadValueError(f"{path}: {error}") from error
    peak = strongest_peak(profile.q, profile.intensity, profile.sigma)
    return Integrated(image.data, image.exposure_seconds, image.timestamp, profile, peak)
