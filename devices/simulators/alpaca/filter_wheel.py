"""The simulated Alpaca filter wheel."""

from __future__ import annotations

from devices.simulators.alpaca.members import Member, within
from devices.simulators.alpaca.motion import Motion
from devices.simulators.alpaca.settings import AlpacaSettings


class SimulatedFilterWheel(Member):
    """Turns the shorter way; while it turns its position is -1."""

    kind = "FilterWheel"
    name = "Simulated filter wheel"

    def __init__(self, settings: AlpacaSettings) -> None:
        super().__init__()
        names = [name.strip() for name in settings.filters.split(",") if name.strip()]
        self.motion = Motion(0.0, 1.0 / max(settings.filter_s, 1e-6), len(names))
        self.constants = {"names": names, "focusoffsets": [15 * slot for slot in range(len(names))]}
        self._slots = len(names)

    def get_position(self) -> int:
        return -1 if self.motion.is_moving else round(self.motion.place) % self._slots

    def put_position(self, Position: int) -> None:
        within("Position", Position, 0, self._slots - 1)
        self.motion.go(Position)
