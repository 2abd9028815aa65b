"""How well a finder does on synthetic pictures."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from devices.pipelines.loop.detect import detect
from devices.pipelines.loop.result import LoopResult
from devices.pipelines.loop.settings import LoopSettings
from devices.pipelines.loop.synthetic import scene

COLUMNS, ROWS = 704, 480


@dataclass(frozen=True)
class Score:
    """Medians over pictures; a loop that was not found is infinitely far away."""

    tip_px: float
    within_10_px: float
    iou: float
    kinds: float
    pin_px: float
    fiber_px: float


def score(level: str, seeds: range, settings: LoopSettings) -> Score:
    rows = []
    for seed in seeds:
        picture = scene(level, seed).picture(17.0 * (seed % 100))
        found, truth = detect(picture.image, settings), picture.truth
        rows.append(
            (
                tip_distance(found, truth),
                overlap(found, truth),
                found.kind == truth.kind,
                abs(found.pin_base_x - truth.pin_base_x) * COLUMNS,
                abs(found.fiber_width - truth.fiber_width) * ROWS,
            )
        )
    tip, iou, kind, pin, fiber = np.array(rows, float).T
    return Score(
        float(np.median(tip)),
        float(np.mean(tip < 10.0)),
        float(np.median(iou)),
        float(kind.mean()),
        float(np.median(pin)),
        float(np.median(fiber)),
    )


def false_positives(level: str, seeds: range, settings: LoopSettings, kind: str = "empty") -> int:
    return sum(detect(scene(level, seed, kind).picture().image, settings).found for seed in seeds)


def tip_distance(found: LoopResult, truth: LoopResult) -> float:
    """Pixels."""
    if not found.found:
        return np.inf
    return float(np.hypot((found.tip_x - truth.tip_x) * COLUMNS, (found.tip_y - truth.tip_y) * ROWS))


def overlap(one: LoopResult, other: LoopResult) -> float:
    """Intersection of the boxes over their union."""
    width = min(one.box_max_x, other.box_max_x) - max(one.box_min_x, other.box_min_x)
    height = min(one.box_max_y, other.box_max_y) - max(one.box_min_y, other.box_min_y)
    both = max(width, 0.0) * max(height, 0.0)
    areas = [(r.box_max_x - r.box_min_x) * (r.box_max_y - r.box_min_y) for r in (one, other)]
    return both / (sum(areas) - both) if sum(areas) > 0 else 0.0
