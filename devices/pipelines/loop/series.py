"""A loop that turns: what the pictures of all angles say together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from devices.pipelines.loop.result import LoopResult

#: Fewer pictures with a loop, or angles that span less, give no fit.
LEAST_PICTURES: Final = 8
LEAST_SPAN_DEG: Final = 60.0
#: Residuals beyond so many standard deviations are outliers; but never those below this part of the picture's height.
OUTLIER_SIGMA: Final = 4.0
LEAST_OUTLIER: Final = 0.004

Numbers = NDArray[np.float64]


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

    Pictures without a loop, and those whose width or tip lies far from the sines of the others, are not used; what they
    should have shown is filled in. Positions along the axis are the median of the others.

    Args:
        results: one per picture.
        angles_deg: the angle of each, degrees.
    Raises:
        ValueError: there are not as many angles as pictures, or one is not a finite number.
    """
    angles = np.asarray(angles_deg, np.float64)
    if angles.shape != (len(results),) or not np.isfinite(angles).all():
        raise ValueError(f"{len(results)} pictures need as many finite angles, not {list(angles_deg)!r:.200}")
    turn = np.radians(angles)
    used = np.array([result.found for result in results], bool)
    widths = np.array([result.loop_width for result in results])
    tips = np.array([result.tip_y for result in results])
    tip_xs = np.array([result.tip_x for result in results])
    if not _enough(angles, used):
        nothing = (0.0,) * 9
        return RotationFit(False, *nothing, used=tuple(used.tolist()), filled=tuple(results))
    twice, once = _waves(2.0 * turn), _waves(turn)
    flat = np.ones((len(turn), 1))
    for model, values in ((flat, tip_xs), (twice, widths), (once, tips)):
        used = _kept(model, values, used)
    width, width_left = _fit(twice, widths, used)
    tip, tip_left = _fit(once, tips, used)
    face = float(np.degrees(np.arctan2(width[2], width[1])) / 2.0 % 180.0)
    return RotationFit(
        found=True,
        face_deg=face,
        edge_deg=(face + 90.0) % 180.0,
        width_mean=float(width[0]),
        width_amplitude=float(np.hypot(*width[1:])),
        tip_mean=float(tip[0]),
        tip_amplitude=float(np.hypot(*tip[1:])),
        tip_deg=float(np.degrees(np.arctan2(tip[2], tip[1])) % 360.0),
        width_rms=_rms(width_left[used]),
        tip_rms=_rms(tip_left[used]),
        used=tuple(used.tolist()),
        filled=_filled(results, used, twice @ width, once @ tip, turn),
    )


def _enough(angles_deg: Numbers, used: NDArray[np.bool_]) -> bool:
    """Whether the sines can be told: pictures enough, at angles apart."""
    seen = angles_deg[used]
    if len(seen) < LEAST_PICTURES:
        return False
    # A full turn later the same is seen again.
    folded = np.sort(np.unique(np.round(seen % 360.0, 6)))
    gaps = np.diff(np.append(folded, folded[0] + 360.0))
    return bool(len(folded) >= LEAST_PICTURES and 360.0 - gaps.max() >= LEAST_SPAN_DEG)


def _waves(turn: Numbers) -> Numbers:
    return np.stack([np.ones_like(turn), np.cos(turn), np.sin(turn)], 1)


def _fit(model: Numbers, values: Numbers, used: NDArray[np.bool_]) -> tuple[Numbers, Numbers]:
    """Coefficients, and what is left of all pictures."""
    coefficients = np.asarray(np.linalg.lstsq(model[used], values[used], rcond=None)[0], np.float64)
    return coefficients, values - model @ coefficients


def _kept(model: Numbers, values: Numbers, used: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """``used`` without the pictures that lie far from what most say, by a fit that outliers do not bend (L1)."""
    weights = used.astype(np.float64)
    left = values
    for _ in range(25):
        coefficients = np.linalg.lstsq(model * weights[:, None] ** 0.5, values * weights**0.5, rcond=None)[0]
        left = np.abs(values - model @ coefficients)
        weights = used / np.maximum(left, 1e-4)
    spread = 1.4826 * float(np.median(left[used]))
    kept = used & (left <= max(OUTLIER_SIGMA * spread, LEAST_OUTLIER))
    return kept if kept.sum() >= LEAST_PICTURES else used


def _rms(left: Numbers) -> float:
    return float(np.sqrt(np.mean(left**2)))


def _filled(
    results: Sequence[LoopResult], used: NDArray[np.bool_], widths: Numbers, tips: Numbers, turn: Numbers
) -> tuple[LoopResult, ...]:
    kept = [result for result, use in zip(results, used, strict=True) if use]

    def middle(name: str) -> float:
        return float(np.median([getattr(result, name) for result in kept]))

    # The middle of the box swings with the spindle as the tip does.
    swing = _waves(turn)
    centres = np.array([(result.box_min_y + result.box_max_y) / 2 for result in results])
    centres = swing @ _fit(swing, centres, used)[0]
    kinds = [result.kind for result in kept]
    usual = replace(
        max(kept, key=lambda result: result.score),
        tip_x=middle("tip_x"),
        pin_base_x=middle("pin_base_x"),
        loop_width_x=middle("loop_width_x"),
        box_min_x=middle("box_min_x"),
        box_max_x=middle("box_max_x"),
        fiber_width=middle("fiber_width"),
        pin_min_y=middle("pin_min_y"),
        pin_max_y=middle("pin_max_y"),
        kind=max(set(kinds), key=kinds.count),
        score=0.0,
        edges=np.empty((2, 0), np.float32),
    )
    return tuple(
        result
        if use
        else replace(
            usual,
            tip_y=float(tip),
            loop_width=float(width),
            box_min_y=float(centre - width / 2),
            box_max_y=float(centre + width / 2),
        )
        for result, use, tip, width, centre in zip(results, used, tips, widths, centres, strict=True)
    )
