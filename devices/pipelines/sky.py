"""Where in the sky a pixel of the correlator's images lies, and how the sky moves through them.

Images are orthographic (SIN) about the meridian, y north, x west: right ascension falls with x.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from astropy.wcs import WCS

#: OVRO, the site of DSA-110: degrees north and east, m.
LATITUDE_DEG: Final = 37.2339
LONGITUDE_DEG: Final = -118.2821
HEIGHT_M: Final = 1188.0
#: The wavelength that pixels are reckoned with, m, and how many pixels a beam of the longest baseline has.
WAVELENGTH_M: Final = 0.20
PIXELS_PER_BEAM: Final = 3.0
#: By how much the sky turns in a second, rad: a turn in a sidereal day.
ROTATION_RAD_S: Final = 2 * math.pi / 86164.0905


def pixel_rad(uv_diag_m: float) -> float:
    """Side of a pixel, rad: a third of the reference wavelength over the longest baseline.

    Raises:
        ValueError: the baseline is not a number above 0.
    """
    if not (math.isfinite(uv_diag_m) and uv_diag_m > 0.0):
        raise ValueError(f"uv_diag = {uv_diag_m} m: the longest baseline is needed, above 0 m")
    return WAVELENGTH_M / uv_diag_m / PIXELS_PER_BEAM


def drift_px(uv_diag_m: float, dec_deg: float, seconds: float) -> tuple[float, float]:
    """By how many pixels (y, x) a source near the middle moves in the images in ``seconds``.

    Images follow the meridian, so sources move west, to greater x. Off the middle the path is curved: at x pixels from
    it, y changes by x sin(dec) times the turn, 0.02 pixels a gulp at the edge of an image of 300.
    """
    turn = ROTATION_RAD_S * seconds
    return 0.0, turn * math.cos(math.radians(dec_deg)) / pixel_rad(uv_diag_m)


@dataclass(frozen=True)
class SkyGrid:
    """Sky coordinates of the pixels of a gulp.

    Attributes:
        mjd: when the middle of the image is on the meridian, days UTC.
        uv_diag_m: the longest baseline, m.
        dec_deg: apparent declination of the pointing.
        size: of the image, pixels; its middle is the pixel of index ``size // 2`` in x and y.
    Raises:
        ValueError: no number, or the declination is beyond a pole.
    """

    mjd: float
    uv_diag_m: float
    dec_deg: float
    size: int

    def __post_init__(self) -> None:
        pixel_rad(self.uv_diag_m)
        if not -90.0 <= self.dec_deg <= 90.0:
            raise ValueError(f"declination = {self.dec_deg} deg is outside [-90, 90] deg")
        if not math.isfinite(self.mjd):
            raise ValueError(f"mjd = {self.mjd}: a number is needed")

    @cached_property
    def wcs(self) -> WCS:
        """The coordinate system, ICRS (J2000), for pixels counted from 0 in astropy's pixel methods.

        The apparent place of the meridian at OVRO is brought to ICRS by precession, nutation and aberration, with the
        tables that astropy has: nothing is loaded from the network. Beyond these tables the turn of the Earth is off by
        up to 0.9 s, 14 arcseconds.
        """
        from astropy.wcs import WCS

        (ra, dec), north = self._middle()
        scale = math.degrees(pixel_rad(self.uv_diag_m))
        wcs = WCS(naxis=2)
        wcs.wcs.ctype = ["RA---SIN", "DEC--SIN"]
        wcs.wcs.cunit = ["deg", "deg"]
        wcs.wcs.crval = [ra, dec]
        wcs.wcs.crpix = [self.size // 2 + 1, self.size // 2 + 1]
        wcs.wcs.cdelt = [-scale, scale]
        wcs.wcs.pc = [[math.cos(north), -math.sin(north)], [math.sin(north), math.cos(north)]]
        wcs.wcs.radesys = "ICRS"
        wcs.wcs.mjdobs = self.mjd
        return wcs

    def ra_dec_deg(self, y: float, x: float) -> tuple[float, float]:
        """Of a pixel, ICRS, degrees; NaN where the pixel lies beyond the horizon of the projection."""
        ra, dec = self.wcs.wcs_pix2world(np.array([[x, y]], np.float64), 0)[0]
        return float(ra), float(dec)

    def pixel(self, ra_deg: float, dec_deg: float) -> tuple[float, float]:
        """The pixel (y, x), with fractions, of a place in ICRS, degrees; it may lie outside of the image."""
        x, y = self.wcs.wcs_world2pix(np.array([[ra_deg, dec_deg]], np.float64), 0)[0]
        return float(y), float(x)

    def _middle(self) -> tuple[NDArray[np.float64], float]:
        """ICRS place of the middle (RA, declination), degrees, and the position angle of apparent north in it, rad."""
        import astropy.units as u
        from astropy.coordinates import ICRS, TETE, EarthLocation, SkyCoord
        from astropy.time import Time
        from astropy.utils import iers

        site = EarthLocation.from_geodetic(LONGITUDE_DEG * u.deg, LATITUDE_DEG * u.deg, HEIGHT_M * u.m)
        with (
            iers.conf.set_temp("auto_download", False),
            iers.conf.set_temp("auto_max_age", None),
            iers.conf.set_temp("iers_degraded_accuracy", "ignore"),
        ):
            time = Time(self.mjd, format="mjd", scale="utc", location=site)
            meridian = time.sidereal_time("apparent")
            # Two points, one a little nearer to the equator, so that there is a north even at the pole.
            near = self.dec_deg - math.copysign(0.01, self.dec_deg)
            apparent = SkyCoord(
                [meridian, meridian], [self.dec_deg, near] * u.deg, frame=TETE(obstime=time, location=site)
            )
            place = apparent.transform_to(ICRS())
        angle = place[0].position_angle(place[1]).rad + (math.pi if near < self.dec_deg else 0.0)
        return np.array([place[0].ra.deg, place[0].dec.deg]), float(angle)
