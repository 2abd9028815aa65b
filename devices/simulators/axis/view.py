"""What a simulated camera sees: a synthetic loop at any angle of the spindle."""

from __future__ import annotations

import threading

from devices.pipelines.loop.result import LoopResult
from devices.pipelines.loop.synthetic import encoded, scene
from devices.simulators.axis.settings import AxisCameraSettings


class View:
    """Pictures of one sample, each made once; the angles are whole steps."""

    def __init__(self, settings: AxisCameraSettings) -> None:
        self._scene = scene(settings.level, settings.seed, settings.kind or None)
        self._step, self._quality = settings.step_deg, self._scene.jpeg
        self._seen: dict[int, tuple[bytes, LoopResult]] = {}
        self._lock = threading.Lock()

    @property
    def steps(self) -> int:
        """Of a whole turn."""
        return max(1, round(360.0 / self._step))

    def at(self, step: int) -> tuple[bytes, LoopResult]:
        """JPEG and truth at an angle, in steps of the spindle."""
        step %= self.steps
        with self._lock:
            found = self._seen.get(step)
        if found is None:
            picture = self._scene.picture(step * self._step)
            found = encoded(picture.image, self._quality), picture.truth
            with self._lock:
                self._seen[step] = found
        return found
