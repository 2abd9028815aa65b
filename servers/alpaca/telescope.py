"""The telescope that the camera is at, as an Alpaca telescope, ITelescopeV4."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final

from devices.ccd.exposure import CcdExposure
from devices.ccd.telescope import CcdTelescope
from devices.core import Device
from devices.core.errors import BadValueError, InvalidReadingError, NotAllowedError, RangeError
from servers.alpaca.member import Converter, get, not_implemented, number, put, text, truth, whole
from servers.alpaca.moving_device import MovingDevice, finished

ALT_AZ, J2000, SIDEREAL = 0, 2, 0
HORIZONTAL: Final[dict[str, Converter]] = {"Azimuth": number, "Altitude": number}
#: What it cannot do.
CANNOT: Final = (
    *("canfindhome", "canpulseguide", "cansetdeclinationrate", "cansetguiderates", "cansetpark", "cansetpierside"),
    *("cansetrightascensionrate", "canslewaltaz", "canslewaltazasync", "cansync", "cansyncaltaz"),
    *("athome", "ispulseguiding"),
)
#: Members of the interface that it has not.
MISSING_GETS: Final = (
    *("aperturearea", "aperturediameter", "focallength", "doesrefraction", "guideratedeclination"),
    *("guideraterightascension", "sideofpier", "slewsettletime"),
)
MISSING_PUTS: Final[dict[str, dict[str, Converter]]] = {
    "declinationrate": {"DeclinationRate": number},
    "rightascensionrate": {"RightAscensionRate": number},
    "doesrefraction": {"DoesRefraction": truth},
    "guideratedeclination": {"GuideRateDeclination": number},
    "guideraterightascension": {"GuideRateRightAscension": number},
    "sideofpier": {"SideOfPier": whole},
    "siteelevation": {"SiteElevation": number},
    "sitelatitude": {"SiteLatitude": number},
    "sitelongitude": {"SiteLongitude": number},
    "slewsettletime": {"SlewSettleTime": whole},
    "utcdate": {"UTCDate": text},
    "findhome": {},
    "setpark": {},
    "moveaxis": {"Axis": whole, "Rate": number},
    "pulseguide": {"Direction": whole, "Duration": whole},
    "slewtoaltaz": HORIZONTAL,
    "slewtoaltazasync": HORIZONTAL,
    "synctoaltaz": HORIZONTAL,
    "synctocoordinates": {"RightAscension": number, "Declination": number},
    "synctotarget": {},
}


class AlpacaTelescope(MovingDevice):
    """It points where it is told, J2000, and tracks. Limits are those of the device."""

    device_type = "Telescope"
    interface_version = 4
    constants = {  # noqa: RUF012
        **dict.fromkeys(CANNOT, False),
        **dict.fromkeys(("canslew", "canslewasync"), True),
        **dict.fromkeys(("declinationrate", "rightascensionrate"), 0.0),
        "alignmentmode": ALT_AZ,
        "equatorialsystem": J2000,
        "trackingrate": SIDEREAL,
        "trackingrates": [SIDEREAL],
    }
    missing_gets = MISSING_GETS
    missing_puts = MISSING_PUTS
    operational = (
        *("Altitude", "AtHome", "AtPark", "Azimuth", "Declination", "IsPulseGuiding", "RightAscension", "SiderealTime"),
        *("Slewing", "Tracking", "UTCDate"),
    )

    def __init__(self, exposure: CcdExposure) -> None:
        super().__init__(exposure.properties.telescope)
        self._exposure = exposure
        self._target: dict[str, float] = {}
        self._is_parked = False

    @property
    def telescope(self) -> CcdTelescope:
        """Raises NotConnectedError: it is not in this process."""
        return self._exposure.peers.find(self.device_name, CcdTelescope)

    def hardware(self) -> Device:
        return self.telescope

    def _value(self, attribute: str) -> Any:
        """Of an attribute that not every telescope has."""
        found = self.telescope.attributes.get(attribute)
        if found is None:
            raise not_implemented(f"{self.device_name} does not know its {attribute}")
        return found.value

    # Where it is ----------------------------------------------------------------------------------------------------

    @get()
    def rightascension(self) -> float:
        return self.telescope.right_ascension.value

    @get()
    def declination(self) -> float:
        return self.telescope.declination.value

    @get()
    def altitude(self) -> float:
        return float(self._value("altitude"))

    @get()
    def azimuth(self) -> float:
        return float(self._value("azimuth"))

    @get()
    def siderealtime(self) -> float:
        return float(self._value("sidereal_time"))

    @get()
    def sitelatitude(self) -> float:
        return float(getattr(self.telescope.properties, "latitude", 0.0))

    @get()
    def sitelongitude(self) -> float:
        east = float(getattr(self.telescope.properties, "longitude", 0.0))
        return (east + 180.0) % 360.0 - 180.0

    @get()
    def siteelevation(self) -> float:
        return float(getattr(self.telescope.properties, "height", 0.0))

    @get()
    def utcdate(self) -> str:
        now = datetime.now(UTC).replace(tzinfo=None)
        return f"{now.isoformat(timespec='milliseconds')}Z"

    # Moving ---------------------------------------------------------------------------------------------------------

    @get()
    def slewing(self) -> bool:
        live = self.telescope.attributes.get("slewing")
        return self.is_moving() or bool(live is not None and live.reading.value)

    @put(RightAscension=number, Declination=number)
    def slewtocoordinatesasync(self, hours: float, degrees: float) -> None:
        _check("RightAscension", hours, 0.0, 24.0)
        _check("Declination", degrees, -90.0, 90.0)
        if self._is_parked:
            raise NotAllowedError(f"{self.device_name} is parked; unpark comes first")
        if (place := getattr(self.telescope, "check_place", None)) is not None:
            # What stands too low is refused at once.
            place(hours, degrees)
        self._target = {"TargetRightAscension": hours, "TargetDeclination": degrees}
        words = {"right_ascension": hours, "declination": degrees}
        self.begin(finished(self.telescope, "point", words))

    @put(RightAscension=number, Declination=number)
    async def slewtocoordinates(self, hours: float, degrees: float) -> None:
        self.slewtocoordinatesasync(hours, degrees)
        await self._arrived()

    @put()
    def slewtotargetasync(self) -> None:
        self.slewtocoordinatesasync(self.targetrightascension(), self.targetdeclination())

    @put()
    async def slewtotarget(self) -> None:
        self.slewtotargetasync()
        await self._arrived()

    async def offset(self, words: str) -> str:
        """Begin to move by arcsec on the sky, ``EAST NORTH``."""
        try:
            east, north = (float(word) for word in words.replace(",", " ").split())
        except ValueError:
            raise BadValueError(f"offset = {words[:80]!r} are not two numbers, arcsec to the east and north") from None
        self.begin(finished(self.telescope, "offset", {"east": east, "north": north}))
        return ""

    actions = {"offset": offset}  # noqa: RUF012

    @get()
    def targetrightascension(self) -> float:
        return self._aim("TargetRightAscension")

    @put(TargetRightAscension=number)
    def put_targetrightascension(self, hours: float) -> None:
        _check("TargetRightAscension", hours, 0.0, 24.0)
        self._target["TargetRightAscension"] = hours

    @get()
    def targetdeclination(self) -> float:
        return self._aim("TargetDeclination")

    @put(TargetDeclination=number)
    def put_targetdeclination(self, degrees: float) -> None:
        _check("TargetDeclination", degrees, -90.0, 90.0)
        self._target["TargetDeclination"] = degrees

    def _aim(self, name: str) -> float:
        if name not in self._target:
            raise InvalidReadingError(f"{name} has not been set")
        return self._target[name]

    @put()
    async def abortslew(self) -> None:
        telescope = self.telescope
        if telescope.operations.active:
            await telescope.run("abort", {"id": ""})
        if "halt" in telescope.commands:
            await telescope.run("halt")

    # Tracking, parking ----------------------------------------------------------------------------------------------

    @get()
    def tracking(self) -> bool:
        live = self.telescope.attributes.get("tracking")
        return live is None or bool(live.value)

    @get()
    def cansettracking(self) -> bool:
        return "tracking" in self.telescope.attributes

    @put(Tracking=truth)
    async def put_tracking(self, on: bool) -> None:
        if not self.cansettracking():
            raise not_implemented(f"{self.device_name} always tracks")
        await self.telescope.put("tracking", on)

    @put(TrackingRate=whole)
    def put_trackingrate(self, rate: int) -> None:
        _check("TrackingRate", rate, SIDEREAL, SIDEREAL)

    @get()
    def atpark(self) -> bool:
        return self._is_parked and not self.is_moving()

    @get()
    def canpark(self) -> bool:
        return "park" in self.telescope.commands

    @get()
    def canunpark(self) -> bool:
        return self.canpark()

    @put()
    def park(self) -> None:
        if not self.canpark():
            raise not_implemented(f"{self.device_name} has no place of rest")
        if not self._is_parked:
            self.begin(self._parked())

    async def _parked(self) -> None:
        await finished(self.telescope, "park", {})
        self._is_parked = True

    @put()
    def unpark(self) -> None:
        if not self.canpark():
            raise not_implemented(f"{self.device_name} has no place of rest")
        self._is_parked = False

    # What it has not ------------------------------------------------------------------------------------------------

    @get(Axis=whole)
    def canmoveaxis(self, axis: int) -> bool:
        _check("Axis", axis, 0, 2)
        return False

    @get(Axis=whole)
    def axisrates(self, axis: int) -> list[Any]:
        _check("Axis", axis, 0, 2)
        return []

    @get(RightAscension=number, Declination=number)
    def destinationsideofpier(self, hours: float, degrees: float) -> int:
        raise not_implemented(f"{self.device_name} has no pier sides")

    async def _arrived(self) -> None:
        if self._move is not None:
            await self._move


def _check(name: str, value: float, least: float, most: float) -> None:
    if not least <= value <= most:
        raise RangeError(f"{name} = {value} is outside [{least}, {most}]")
