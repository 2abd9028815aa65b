"""The simulated Alpaca dome."""

from __future__ import annotations

import time

from devices.drivers.alpaca_errors import ErrorNumber
from devices.simulators.alpaca.members import COMMANDS, Member, Refused, not_implemented, within
from devices.simulators.alpaca.motion import Motion
from devices.simulators.alpaca.settings import AlpacaSettings

OPEN, CLOSED, OPENING, CLOSING = range(4)
SHUTTER_S = 2.0
PARKED_AT = 90.0


class SimulatedDome(Member):
    """A dome that turns, with a shutter that takes two seconds."""

    kind = "Dome"
    name = "Simulated dome"

    def __init__(self, settings: AlpacaSettings) -> None:
        super().__init__()
        self.motion = Motion(0.0, settings.slew_degrees_s, 360.0)
        self._shutter, self._moved, self._parked = CLOSED, -SHUTTER_S, False
        self.absent = COMMANDS | {"altitude", "slewtoaltitude", "setpark"}
        self.constants = {
            **dict.fromkeys(("canfindhome", "canpark", "cansetazimuth", "cansetshutter", "cansyncazimuth"), True),
            **dict.fromkeys(("cansetaltitude", "cansetpark", "canslave", "slaved"), False),
        }

    def get_azimuth(self) -> float:
        return self.motion.place

    def get_slewing(self) -> bool:
        return self.motion.is_moving or self.get_shutterstatus() in (OPENING, CLOSING)

    def get_shutterstatus(self) -> int:
        moving = time.monotonic() - self._moved < SHUTTER_S
        return {OPEN: OPENING, CLOSED: CLOSING}[self._shutter] if moving else self._shutter

    def get_athome(self) -> bool:
        return not self.motion.is_moving and abs(self.motion.place) < 0.01

    def get_atpark(self) -> bool:
        return self._parked and not self.motion.is_moving

    def put_slewtoazimuth(self, Azimuth: float) -> None:
        within("Azimuth", Azimuth, 0.0, 360.0)
        self._turn(Azimuth)

    def put_synctoazimuth(self, Azimuth: float) -> None:
        within("Azimuth", Azimuth, 0.0, 360.0)
        self.motion.set(Azimuth)

    def put_findhome(self) -> None:
        self._turn(0.0)

    def put_park(self) -> None:
        self._turn(PARKED_AT)
        self._parked = True

    def put_abortslew(self) -> None:
        self.motion.halt()

    def put_openshutter(self) -> None:
        self._move_shutter(OPEN)

    def put_closeshutter(self) -> None:
        self._move_shutter(CLOSED)

    def put_slaved(self, Slaved: bool) -> None:
        if Slaved:
            raise not_implemented("slaved")

    def _turn(self, azimuth: float) -> None:
        self._parked = False
        self.motion.go(azimuth)

    def _move_shutter(self, goal: int) -> None:
        if self._shutter != goal and time.monotonic() - self._moved < SHUTTER_S:
            raise Refused(ErrorNumber.INVALID_OPERATION, "the shutter moves")
        if self._shutter != goal:
            self._shutter, self._moved = goal, time.monotonic()
