"""What a simulated camera sees: a synthetic loop at any angle of the spindle, wherever the stage has it."""

from __future__ import annotations

import math
import threading
from dataclasses import replace

from devices.pipelines.loop.result import LoopResult
from devices.pipelines.loop.scene import Sample
from devices.pipelines.loop.synthetic import encoded, scene
from devices.simulators.axis.settings import AxisCameraSettings


class View:
    """Pictures of one sample, each made once; the angles are whole steps.

    With a stage, the axis of the spindle is in the middle of the picture.

    Attributes:
        stage: where its motors x, y and z are, mm; y moves the sample down in the picture at 0 degree, x at 90 degree,
            z to the right at any angle.
    """

    def __init__(self, settings: AxisCameraSettings) -> None:
        self._scene = scene(settings.level, settings.seed, settings.kind or None)
        if settings.stage_motors:
            self._scene = replace(self._scene, sample=_on_axis(self._scene.sample))
        self._step, self._quality = settings.step_deg, self._scene.jpeg
        self._px_per_mm = 1000.0 / settings.um_per_px
        self.stage = [0.0, 0.0, 0.0]
        self._seen: dict[int, tuple[bytes, LoopResult]] = {}
        self._lock = threading.Lock()

    @property
    def steps(self) -> int:
        """Of a whole turn."""
        return max(1, round(360.0 / self._step))

    def move(self, axis: int, position_mm: float) -> None:
        """A motor of the stage stands there now."""
        with self._lock:
            if position_mm != self.stage[axis]:
                self.stage[axis] = position_mm
                self._seen = {}

    def at(self, step: int) -> tuple[bytes, LoopResult]:
        """JPEG and truth at an angle, in steps of the spindle."""
        step %= self.steps
        with self._lock:
            seen, (x, y, z) = self._seen, self.stage
        found = seen.get(step)
        if found is None:
            angle, sample = step * self._step, self._scene.sample
            turn = math.radians(angle)
            across = self._px_per_mm * (y * math.cos(turn) + x * math.sin(turn))
            moved = replace(sample, pin_x=sample.pin_x + self._px_per_mm * z, pin_y=sample.pin_y + across)
            before = self._scene if moved == sample else replace(self._scene, sample=moved)
            picture = before.picture(angle)
            found = seen[step] = encoded(picture.image, self._quality), picture.truth
        return found


def _on_axis(sample: Sample) -> Sample:
    """The sample with the middle of the places where its tip is at 0 and 180 degree in the middle row."""
    sides = [outline.truth.tip_y for angle in (0.0, 180.0) if (outline := sample.outline(angle)) is not None]
    return replace(sample, pin_y=sample.pin_y + sample.rows * (0.5 - sum(sides) / len(sides))) if sides else sample
