"""The simulated Alpaca telescope: an equatorial mount that tracks, slews, parks."""

from __future__ import annotations

import math
import time
from datetime import UTC, datetime

from devices.drivers.alpaca_errors import ErrorNumber
from devices.simulators.alpaca.members import COMMANDS, Member, Refused, within
from devices.simulators.alpaca.motion import Motion
from devices.simulators.alpaca.settings import AlpacaSettings

LOWEST_ALTITUDE = 5.0


class SimulatedTelescope(Member):
    """Right ascension in hours, everything else in degrees; of date.

    Its axes are hour angle and declination: while it does not track, right ascension runs with the sky.
    """

    kind = "Telescope"
    name = "Simulated telescope"

    def __init__(self, settings: AlpacaSettings) -> None:
        super().__init__()
        self._latitude, self._longitude = settings.latitude, settings.longitude
        speed = settings.slew_degrees_s
        # Tracking, the first axis stands among the stars; otherwise it stands on the ground.
        self._axis = Motion(0.0, speed / 15.0, 24.0)
        self._declination = Motion(settings.latitude, speed)
        self._tracking, self._parked = False, False
        self._target: list[float | None] = [None, None]
        can = ("findhome", "park", "settracking", "slewasync", "sync", "unpark", "slewaltazasync")
        cannot = (
            *("slew", "slewaltaz", "pulseguide", "setdeclinationrate", "setguiderates", "setpark", "setpierside"),
            *("setrightascensionrate", "syncaltaz"),
        )
        self.absent = COMMANDS | {
            *("destinationsideofpier", "guideratedeclination", "guideraterightascension", "moveaxis", "pulseguide"),
            *("setpark", "slewtoaltaz", "slewtocoordinates", "slewtotarget", "synctoaltaz", "synctotarget"),
        }
        self.constants = {
            **{f"can{word}": True for word in can},
            **{f"can{word}": False for word in cannot},
            "doesrefraction": False,
            "ispulseguiding": False,
            "alignmentmode": 1,
            "equatorialsystem": 1,
            "aperturearea": 0.8,
            "aperturediameter": 1.05,
            "focallength": 8.1,
            "siteelevation": settings.altitude_m,
            "sitelatitude": settings.latitude,
            "sitelongitude": settings.longitude,
            "declinationrate": 0.0,
            "rightascensionrate": 0.0,
            "slewsettletime": 0,
            "trackingrate": 0,
            "trackingrates": [0],
        }

    # Where it is

    def get_siderealtime(self) -> float:
        days = time.time() / 86_400.0 - 10_957.5  # since 2000-01-01 12:00
        greenwich = 18.697374558 + 24.06570982441908 * days
        return (greenwich + self._longitude / 15.0) % 24.0

    def get_utcdate(self) -> str:
        return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")

    def get_rightascension(self) -> float:
        place = self._axis.place
        return place if self._tracking else (self.get_siderealtime() - place) % 24.0

    def get_declination(self) -> float:
        return self._declination.place

    def get_altitude(self) -> float:
        return self._horizontal()[1]

    def get_azimuth(self) -> float:
        return self._horizontal()[0]

    def get_sideofpier(self) -> int:
        hours = (self.get_siderealtime() - self.get_rightascension()) % 24.0
        return 0 if hours < 12.0 else 1

    def get_slewing(self) -> bool:
        return self._axis.is_moving or self._declination.is_moving

    def get_tracking(self) -> bool:
        return self._tracking

    def get_atpark(self) -> bool:
        return self._parked and not self.get_slewing()

    def get_athome(self) -> bool:
        home = abs(self._axis.place) < 1e-3 and abs(self._declination.place - self._latitude) < 0.01
        return home and not self._tracking and not self.get_slewing()

    def get_targetrightascension(self) -> float:
        return self._wanted(0, "targetrightascension")

    def get_targetdeclination(self) -> float:
        return self._wanted(1, "targetdeclination")

    def get_canmoveaxis(self, Axis: int) -> bool:
        within("Axis", Axis, 0, 2)
        return False

    def get_axisrates(self, Axis: int) -> list[object]:
        within("Axis", Axis, 0, 2)
        return []

    # What it is told

    def put_tracking(self, Tracking: bool) -> None:
        self._check_unparked()
        if Tracking != self._tracking:
            right_ascension = self.get_rightascension()
            self._tracking = Tracking
            self._set_axis(right_ascension)

    def put_targetrightascension(self, TargetRightAscension: float) -> None:
        within("TargetRightAscension", TargetRightAscension, 0.0, 24.0)
        self._target[0] = TargetRightAscension

    def put_targetdeclination(self, TargetDeclination: float) -> None:
        within("TargetDeclination", TargetDeclination, -90.0, 90.0)
        self._target[1] = TargetDeclination

    def put_slewtocoordinatesasync(self, RightAscension: float, Declination: float) -> None:
        self._check_unparked()
        if not self._tracking:
            raise Refused(ErrorNumber.INVALID_OPERATION, "the telescope does not track")
        self.put_targetrightascension(RightAscension)
        self.put_targetdeclination(Declination)
        hour_angle = (self.get_siderealtime() - RightAscension) * 15.0
        altitude = horizontal(hour_angle, Declination, self._latitude)[1]
        if altitude < LOWEST_ALTITUDE:
            raise Refused(
                ErrorNumber.INVALID_VALUE, f"altitude = {altitude:.1f} degrees is below {LOWEST_ALTITUDE:g} degrees"
            )
        self._axis.go(RightAscension)
        self._declination.go(Declination)

    def put_slewtotargetasync(self) -> None:
        self.put_slewtocoordinatesasync(self._wanted(0, "target"), self._wanted(1, "target"))

    def put_slewtoaltazasync(self, Azimuth: float, Altitude: float) -> None:
        self._check_unparked()
        if self._tracking:
            raise Refused(ErrorNumber.INVALID_OPERATION, "the telescope tracks")
        within("Azimuth", Azimuth, 0.0, 360.0)
        within("Altitude", Altitude, LOWEST_ALTITUDE, 90.0)
        # The way back is the same rotation: hour angle and azimuth are both counted westward.
        hour_angle, declination = horizontal(Azimuth - 180.0, Altitude, self._latitude, back=True)
        self._axis.go(hour_angle / 15.0)
        self._declination.go(declination)

    def put_synctocoordinates(self, RightAscension: float, Declination: float) -> None:
        self._check_unparked()
        within("RightAscension", RightAscension, 0.0, 24.0)
        within("Declination", Declination, -90.0, 90.0)
        self._set_axis(RightAscension)
        self._declination.set(Declination)

    def put_abortslew(self) -> None:
        self._check_unparked()
        self._axis.halt()
        self._declination.halt()

    def put_park(self) -> None:
        self.put_findhome()
        self._parked = True

    def put_unpark(self) -> None:
        self._parked = False

    def put_findhome(self) -> None:
        self._check_unparked()
        self.put_tracking(False)
        self._axis.go(0.0)
        self._declination.go(self._latitude)

    def _wanted(self, index: int, what: str) -> float:
        value = self._target[index]
        if value is None:
            raise Refused(ErrorNumber.VALUE_NOT_SET, f"{what} was not set")
        return value

    def _check_unparked(self) -> None:
        if self._parked:
            raise Refused(ErrorNumber.PARKED, "the telescope is parked")

    def _set_axis(self, right_ascension: float) -> None:
        place = right_ascension if self._tracking else (self.get_siderealtime() - right_ascension) % 24.0
        self._axis.set(place)

    def _horizontal(self) -> tuple[float, float]:
        hour_angle = (self.get_siderealtime() - self.get_rightascension()) * 15.0
        return horizontal(hour_angle, self.get_declination(), self._latitude)


def horizontal(angle: float, height: float, latitude: float, back: bool = False) -> tuple[float, float]:
    """Azimuth (from north, eastward) and altitude of hour angle and declination; all in degrees.

    Args:
        back: from azimuth - 180 and altitude to hour angle and declination.
    """
    a, d, p = math.radians(angle), math.radians(height), math.radians(latitude)
    sign = -1.0 if back else 1.0
    sine = math.sin(d) * math.sin(p) + sign * math.cos(d) * math.cos(p) * math.cos(a)
    y = math.sin(a) * math.cos(d)
    x = math.cos(a) * math.cos(d) * math.sin(p) - sign * math.sin(d) * math.cos(p)
    turned = math.degrees(math.atan2(y, x))
    return (turned if back else turned + 180.0) % 360.0, math.degrees(math.asin(max(-1.0, min(1.0, sine))))
