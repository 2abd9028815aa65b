"""A loop that turns: what the pictures of all angles say together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from devices.pipelines.loop.result import LoopResult


@dataclass(frozen=True)
class RotationFit:
    """Width and tip of a loop over the angle, by sines; lengths are fractions of the picture's height.

    The width is ``width_mean + width_amplitude * cos(2 (angle - face_deg))``, the tip's height in the picture
    ``tip_mean + tip_amplitude * cos(angle - tip_deg)``.

    Attributes:
        found: whether there were enough pictures with a loop.
        face_deg, edge_deg: angles, 0 to 180 degrees, at which the loop shows its face, and its edge.
        width_mean, width_amplitude, tip_mean, tip_amplitude: of the sines.
        tip_deg: the angle at which the tip is lowest in the picture, 0 to 360 degrees.
        width_rms, tip_rms: what is left of the frames that were kept.
        used: whether each picture was kept.
        filled: one result per picture; those not kept are taken from the fit, with a score of 0.
    """

    found: bool
    face_deg: float
    edge_deg: float
    width_mean: float
    width_amplitude: float
    tip_mean: float
    tip_amplitude: float
    tip_deg: float
    width_rms: float
    tip_rms: float
    used: tuple[bool, ...]
    filled: tuple[LoopResult, ...]


def fit_rotation(results: Sequence[LoopResult], angles_deg: Sequence[float]) -> RotationFit:
    """Sines through width and tip of the pictures of a rotation.

    Args:
        results: one per picture.
        angles_deg: the angle of each, degrees.
    """
    raise NotImplementedError
