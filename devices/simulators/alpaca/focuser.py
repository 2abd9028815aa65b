"""The simulated Alpaca focuser: absolute, in steps of a micrometre."""

from __future__ import annotations

from devices.simulators.alpaca.members import COMMANDS, Member, not_implemented, within
from devices.simulators.alpaca.motion import Motion
from devices.simulators.alpaca.settings import AlpacaSettings

LARGEST = 50_000


class SimulatedFocuser(Member):
    """Moves at the speed of the settings."""

    kind = "Focuser"
    name = "Simulated focuser"

    def __init__(self, settings: AlpacaSettings) -> None:
        super().__init__()
        self.motion = Motion(25_000.0, settings.focus_steps_s)
        self.absent = COMMANDS | {"link"}
        self.constants = {
            "absolute": True,
            "maxstep": LARGEST,
            "maxincrement": LARGEST,
            "stepsize": 1.0,
            "temperature": 11.5,
            "tempcomp": False,
            "tempcompavailable": False,
        }

    def get_position(self) -> int:
        return round(self.motion.place)

    def get_ismoving(self) -> bool:
        return self.motion.is_moving

    def put_move(self, Position: int) -> None:
        within("Position", Position, 0, LARGEST)
        self.motion.go(Position)

    def put_halt(self) -> None:
        self.motion.halt()

    def put_tempcomp(self, TempComp: bool) -> None:
        if TempComp:
            raise not_implemented("tempcomp")
