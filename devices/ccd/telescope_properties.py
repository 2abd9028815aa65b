"""What a telescope device can be told."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from devices.ccd.tool import ToolProperties
from devices.core import setting
from devices.pipelines.ccd.sky_place import Site


@dataclass(frozen=True)
class TelescopeProperties(ToolProperties):
    """Which mount it has, where it stands, where it may point."""

    mount: Literal["simulated", "lx200", "alpaca"] = setting("simulated", doc="What kind of mount it has")
    link: str = setting(
        "", doc="Where the mount is: tcp://HOST:PORT or serial:///dev/ttyUSB0 (lx200), http://HOST:PORT/NUMBER (alpaca)"
    )
    telescope_name: str = setting("", doc="For the keyword TELESCOP; empty: the keyword is left out")
    longitude: float = setting(-110.7889, doc="Of the site, degrees east", limits=(-180.0, 360.0))
    latitude: float = setting(32.4417, doc="Of the site, degrees north", limits=(-90.0, 90.0))
    height: float = setting(0.0, doc="Of the site, m", limits=(-500.0, 9000.0))
    lowest_altitude: float = setting(15.0, doc="Of where it may point, deg", limits=(-90.0, 90.0))
    highest_altitude: float = setting(90.0, doc="Of where it may point, deg", limits=(-90.0, 90.0))
    slew_timeout: float = setting(300.0, doc="A slew that takes longer has failed, s", limits=(1.0, 3600.0))
    position_angle: float = setting(0.0, doc="Of the camera on the sky at the start, deg", limits=(-360.0, 360.0))
    focuser: str = setting("", doc="Alpaca: http://HOST:PORT/NUMBER of the focuser of the secondary; empty: none")
    focus_limits: tuple[float, ...] = setting((-100_000.0, 100_000.0), doc="Least and greatest position of the focus")
    equinox: Literal["date", "J2000"] = setting("date", doc="lx200: what coordinates the mount itself reckons in")
    guide_rate: float = setting(
        7.5, doc="lx200: speed of its guide pulses, arcsec/s; 0: it has none", limits=(0.0, 60.0)
    )
    slew_rate: float = setting(4.0, doc="simulated: greatest speed of its axes, deg/s", limits=(0.01, 1e6))
    acceleration: float = setting(2.0, doc="simulated: of its axes, deg/s2", limits=(0.01, 1e9))
    park_azimuth: float = setting(180.0, doc="simulated: where it starts and rests, deg", limits=(0.0, 360.0))
    park_altitude: float = setting(60.0, doc="simulated: where it starts and rests, deg", limits=(-90.0, 90.0))

    @property
    def site(self) -> Site:
        return Site(self.longitude, self.latitude, self.height)
