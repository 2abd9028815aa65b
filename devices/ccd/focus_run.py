"""A focus run: several exposures at different focus on one image, shifted by rows."""

from __future__ import annotations

import enum
from collections.abc import Awaitable
from typing import Any

from devices.ccd.camera_scene import CameraScene
from devices.ccd.exposure_engine import ExposureEngine
from devices.ccd.instrument import CcdInstrument
from devices.ccd.telescope import CcdTelescope
from devices.core import Operation
from devices.core.errors import NotAllowedError
from devices.pipelines.ccd.ccd_image import Card


class Focuser(enum.Enum):
    """Whose focus is moved."""

    INSTRUMENT = "instrument"
    TELESCOPE = "telescope"


class FocusRun:
    """One focus run."""

    def __init__(self, scene: CameraScene, focuser: Focuser, steps: int, step: float, shift_rows: int) -> None:
        self._scene = scene
        self._focuser = focuser
        self._steps, self._step, self._shift = steps, step, shift_rows

    @property
    def tool(self) -> CcdInstrument | CcdTelescope:
        """Whose focus it is; raises NotAllowedError when there is none."""
        found = self._scene.instrument if self._focuser is Focuser.INSTRUMENT else self._scene.telescope
        if found is None:
            raise NotAllowedError(f"focuser = {self._focuser.value}: there is none")
        return found

    def check(self) -> None:
        """Whether it is possible at all.

        Raises:
            NotAllowedError: no focus, or a controller that cannot shift rows or integrate several times.
        """
        if not self._scene.controller.link.capabilities.moves_parallel:
            raise NotAllowedError("this controller cannot shift rows between integrations")
        self.tool.focus.value  # noqa: B018 (raises InvalidReadingError)

    async def take(self, engine: ExposureEngine, begin: Awaitable[Any], run: Operation) -> list[float]:
        """Take it; the positions of the focus. The focus is where it was before, also after a failure."""
        tool = self.tool
        start = tool.focus.value
        positions: list[float] = []
        exposure = await begin
        try:
            try:
                for index in range(self._steps):
                    position = start + index * self._step
                    if index:
                        last = index == self._steps - 1
                        await self._scene.controller.shift(self._shift * (2 if last else 1))
                        await tool.put("focus", position)
                        await tool.at_rest()
                    positions.append(position)
                    run.report(90.0 * index / self._steps, f"exposure {index + 1} of {self._steps}")
                    await engine.integrate()
            finally:
                await tool.put("focus", start)
            cards = (
                Card("FOCSTART", start, "first position of the focus"),
                Card("FOCSTEP", self._step, "step of the focus"),
                Card("FOCSHIFT", self._shift, "[px] rows between two exposures"),
                Card("FOCSTEPS", self._steps, "exposures at different focus"),
            )
            exposure.cards.extend(cards)
            await engine.readout()
            await engine.end()
        except BaseException:
            # Between two steps nobody else brings the camera to rest.
            await engine.abandon()
            raise
        return positions
