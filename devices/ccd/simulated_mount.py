"""A mount without hardware, for the telescope device itself."""

from __future__ import annotations

from devices.ccd.mount import Mount, Pointing
from devices.pipelines.ccd.alt_az_mount import AltAzMount


class SimulatedMount(Mount):
    """An alt-azimuth mount with a focus that moves at once."""

    has_focus = True
    has_park = True

    def __init__(self, model: AltAzMount, park: tuple[float, float]) -> None:
        self._model, self._park = model, park
        self._focus = 0.0

    async def connect(self) -> str:
        return "simulated alt-azimuth mount"

    async def close(self) -> None:
        """Nothing is open."""

    async def pointing(self) -> Pointing:
        model = self._model
        return Pointing(*model.equatorial, is_slewing=model.is_slewing, is_tracking=model.is_tracking)

    async def slew(self, hours: float, degrees: float) -> None:
        self._model.slew(hours, degrees)

    async def stop(self) -> None:
        self._model.stop()

    async def track(self, on: bool) -> None:
        self._model.track(on)

    async def park(self) -> None:
        self._model.go(*self._park)

    async def focus(self) -> float:
        return self._focus

    async def move_focus(self, position: float) -> None:
        self._focus = position
