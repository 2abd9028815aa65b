"""What a calibration makes of every image: its curves, by masks and slices, tabulated once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from devices.core.errors import BadValueError, ConfigurationError
from devices.drivers.saxs_calibration import CalibratedMask, CalibratedSlice, Calibration
from devices.pipelines.saxs_azimuth import AzimuthIntegrator
from devices.pipelines.saxs_integrate import Integrator
from devices.pipelines.saxs_parameters import integral_parameters
from devices.pipelines.saxs_slice import SliceIntegrator
from devices.saxs.results import Curve

Mask = NDArray[np.bool_] | None

RADIAL_LABELS = ("Scattering Vector  [nm^-1]", "Intensity (Count/Pixel)", "Error Margin")
AZIMUTH_LABELS = ("Azimuth  [rad]", "Intensity (Count/Pixel)", "Error Margin")
SLICE_LABELS = ("Scattering Vector  [nm^-1]", "Intensity (Count/Pixel)", "Error Margin")


@dataclass(frozen=True)
class _Step:
    name: str
    curve: Callable[[NDArray[Any]], Curve]


class Plan:
    """The integrators of a calibration; made once, used for every image, from any thread.

    Args:
        masks: for each of the calibration's masks the masked pixels, (rows, columns), or None.
        subject: what errors call the calibration.
        spread: whether errors of curves against q are how much the pixels of a bin differ, and not by Poisson.
    Raises:
        ConfigurationError: a mask does not fit the geometry.
    """

    def __init__(
        self, calibration: Calibration, masks: Sequence[Mask], subject: str = "calibration", *, spread: bool = False
    ) -> None:
        self.calibration, self._subject, self._spread = calibration, subject, spread
        steps = [
            self._radial(index, entry, mask)
            for index, (entry, mask) in enumerate(zip(calibration.masks, masks, strict=True))
            if index or not calibration.is_gisaxs
        ]
        steps += [
            self._slice(len(masks) + index, entry, None if entry.mask is None else masks[entry.mask])
            for index, entry in enumerate(calibration.slices)
        ]
        self._steps = tuple(steps)

    @property
    def names(self) -> tuple[str, ...]:
        """Of the curves: kind and index, ``Radial0``, ``Slice1``."""
        return tuple(step.name for step in self._steps)

    def curves(self, image: NDArray[Any]) -> tuple[Curve, ...]:
        """All curves of an image, (rows, columns).

        Raises:
            BadValueError: the image has another shape than the calibration says, or is not made of numbers.
        """
        rows, columns = self.calibration.geometry.image_size
        if image.shape != (rows, columns):
            shape = " x ".join(map(str, image.shape))
            raise BadValueError(f"the image has {shape} px, Geometry.Imagesize says {rows} x {columns} px")
        if image.dtype.kind not in "iuf":
            raise BadValueError(f"the image is made of {image.dtype}, not of numbers")
        return tuple(step.curve(image) for step in self._steps)

    def _radial(self, index: int, entry: CalibratedMask, mask: Mask) -> _Step:
        polarization = self.calibration.polarization
        _check(self._subject, index, entry, mask)
        if entry.by_azimuth:
            azimuth = AzimuthIntegrator(entry.geometry, mask, polarization, entry.q_start, entry.q_stop)

            def by_azimuth(image: NDArray[Any]) -> Curve:
                found = azimuth.integrate(image)
                return Curve("Radial", index, entry.settings, found.phi, found.intensity, found.sigma, AZIMUTH_LABELS)

            return _Step(f"Radial{index}", by_azimuth)
        radial = Integrator(entry.geometry, mask, polarization)

        def by_q(image: NDArray[Any]) -> Curve:
            found = radial.integrate(image, spread=self._spread)
            parameters = integral_parameters(found.q, found.intensity, entry.q_start, entry.q_stop)
            return Curve(
                "Radial", index, entry.settings, found.q, found.intensity, found.sigma, RADIAL_LABELS, parameters
            )

        return _Step(f"Radial{index}", by_q)

    def _slice(self, index: int, entry: CalibratedSlice, mask: Mask) -> _Step:
        integrator = SliceIntegrator(self.calibration.geometry, entry.cut, mask)

        def cut(image: NDArray[Any]) -> Curve:
            found = integrator.integrate(image)
            return Curve("Slice", index, entry.settings, found.q, found.intensity, found.sigma, SLICE_LABELS)

        return _Step(f"Slice{index}", cut)


def _check(subject: str, index: int, entry: CalibratedMask, mask: Mask) -> None:
    if mask is not None and mask.shape != entry.geometry.image_size:
        shapes = [" x ".join(map(str, shape)) for shape in (mask.shape, entry.geometry.image_size)]
        problem = f"Masks[{index}].MaskFile: {entry.file} is a mask of {shapes[0]} px"
        raise ConfigurationError(subject, [f"{problem}, Geometry.Imagesize says {shapes[1]} px"])
