"""A calibration in use: geometry, polarization and mask, read and checked against each other."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from devices.core.errors import ConfigurationError
from devices.drivers.allowed_folders import AllowedFolders
from devices.drivers.mask_file import read_mask
from devices.drivers.saxs_calibration import read_calibration
from devices.pipelines.saxs_geometry import Geometry, Polarization

#: The longest curve, bins: 128 KiB, so that curves travel with the scalars and not with the images.
MOST_BINS = 16384


@dataclass(frozen=True, eq=False)
class Calibrated:
    """A calibration file with its mask read, ready for frames.

    Args:
        mask: (rows, columns), True = masked; None masks nothing.
    """

    file: Path
    mask_file: Path | None
    mask: NDArray[np.bool_] | None
    geometry: Geometry
    polarization: Polarization | None

    def gives_the_same_as(self, other: Calibrated | None) -> bool:
        return (
            other is not None
            and (self.geometry, self.polarization) == (other.geometry, other.polarization)
            and np.array_equal(self.mask, other.mask)  # type: ignore[arg-type]  # None equals None
        )


def load_calibration(file: Path, allowed: AllowedFolders | None) -> Calibrated:
    """Read a calibration and its first mask: the one that the live curve has.

    Args:
        allowed: what the calibration and its mask are confined to; None for files that the facility itself names.
    Raises:
        ConfigurationError: wrong entries, with their keys. NotAllowedError: a file is outside the folders.
        BadValueError, ProtocolError: the mask cannot be read.
    """
    if allowed is not None:
        file = allowed.resolve(file)
    calibration = read_calibration(file)
    first = calibration.masks[0]
    mask, mask_file, geometry = None, first.file, first.geometry
    if mask_file is not None:
        if allowed is not None:
            mask_file = allowed.resolve(mask_file)
        mask = read_mask(mask_file)
        if mask.shape != geometry.image_size:
            shapes = " x ".join(map(str, mask.shape)), " x ".join(map(str, geometry.image_size))
            problem = f"Masks[0].MaskFile: {mask_file} is a mask of {shapes[0]} px, Geometry.Imagesize says {shapes[1]}"
            raise ConfigurationError(str(file), [problem])
    if geometry.bins > MOST_BINS:
        problem = f"Masks[0].PixelPerRadialElement: {geometry.pixels_per_bin} px gives {geometry.bins} bins"
        raise ConfigurationError(str(file), [f"{problem}, at most {MOST_BINS} are published"])
    return Calibrated(file, mask_file, mask, geometry, calibration.polarization)
