"""The side of an exposure that looks at each image at once: levels, noise, saturation, stars, gain."""

from __future__ import annotations

import asyncio
import math
from typing import Any, Final

from devices.ccd.exposure_detector import MOST_AMPS
from devices.ccd.exposure_readings import ExposureReadings
from devices.ccd.photon_pairs import MOST_SATURATED, Frame, PhotonPairs
from devices.ccd.plan import Exposure, Plan
from devices.core import attribute, command, pipeline
from devices.core.errors import reason
from devices.pipelines.ccd import quick_look
from devices.pipelines.ccd.quick_look import MOST_STARS

GROUP: Final = "Quick look"


def _of_amps(unit: str, doc: str, precision: int = 2) -> Any:
    return attribute(
        float, shape=(MOST_AMPS,), unit=unit, precision=precision, group=GROUP, doc=f"Of each amplifier: {doc}"
    )


def _of_stars(unit: str, doc: str, precision: int = 2) -> Any:
    return attribute(
        float, shape=(MOST_STARS,), unit=unit, precision=precision, group=GROUP, doc=f"Of each star: {doc}"
    )


class ExposureQuickLook(ExposureReadings):
    """Looks at images when they are complete; no exposure waits for it.

    While one is looked at, of those that come meanwhile the newest is next.
    """

    looks_at_images = attribute(
        bool, access="read_write", initial=True, memorized="show", group=GROUP, doc="Images are looked at"
    )
    saturation = attribute(
        float, access="read_write", initial=65535.0, unit="adu", precision=0, limits=(1.0, 1e9),
        memorized="show", group=GROUP, doc="At or above it a pixel is saturated",
    )  # fmt: skip
    looked_at = attribute(str, initial="", group=GROUP, doc="The image of which all this is")
    look_problem = attribute(str, initial="", group=GROUP, doc="Why the last image could not be looked at")

    amp_bias = _of_amps("adu", "median of its overscan")
    amp_noise = _of_amps("adu", "standard deviation of its overscan")
    amp_mean = _of_amps("adu", "mean without bias, what is far off left away")
    amp_median = _of_amps("adu", "median without bias, what is far off left away")
    amp_sigma = _of_amps("adu", "standard deviation, what is far off left away")
    amp_minimum = _of_amps("adu", "least pixel, without bias", 0)
    amp_maximum = _of_amps("adu", "greatest pixel, without bias", 0)
    amp_saturated = attribute(
        int, shape=(MOST_AMPS,), unit="px", group=GROUP, doc="Of each amplifier: saturated pixels"
    )
    saturated_pixels = attribute(int, unit="px", initial=0, group=GROUP, doc="Of all amplifiers")

    stars_of = attribute(str, initial="", group=GROUP, doc="The image of type object of which the stars are")
    stars = attribute(int, initial=0, group=GROUP, doc="That were measured; of each 1024 x 1024 px the brightest")
    fwhm = attribute(float, unit="px", precision=2, group=GROUP, doc="Median of the stars that are not saturated")
    fwhm_arcsec = attribute(float, unit="arcsec", precision=2, group=GROUP, doc="The same on the sky")
    ellipticity = attribute(float, precision=3, group=GROUP, doc="1 - minor / major axis, median of the same stars")
    star_x = _of_stars("px", "column in the picture of all amplifiers, from 1; the brightest star first")
    star_y = _of_stars("px", "row in the picture of all amplifiers, from 1")
    star_flux = _of_stars("adu", "above the sky", 0)
    star_peak = _of_stars("adu", "above the sky", 0)
    star_fwhm = _of_stars("px", "mean of both axes")
    star_ellipticity = _of_stars("", "1 - minor / major axis", 3)

    amp_gain = _of_amps("e-/adu", "gain from two flats and two zeros", 3)
    amp_read_noise = _of_amps("e-", "read noise from two zeros and the gain")
    amp_signal = _of_amps("adu", "signal of the flats", 1)
    photon_transfer = attribute(
        str, initial="missing: 2 zeros, 2 flats", group=GROUP, doc="The images that gain and read noise are of"
    )

    look = pipeline(
        quick_look.levels,
        outputs=(
            *(amp_bias, amp_noise, amp_mean, amp_median, amp_sigma, amp_minimum, amp_maximum),
            *(amp_saturated, saturated_pixels),
        ),
    )
    star_search = pipeline(
        quick_look.star_field,
        outputs=(stars, fwhm, ellipticity, star_x, star_y, star_flux, star_peak, star_fwhm, star_ellipticity),
    )
    gain_search = pipeline(quick_look.transfer, outputs=(amp_gain, amp_read_noise, amp_signal))

    def build(self) -> None:
        super().build()
        self._pairs = PhotonPairs()
        self._next: Exposure | None = None
        self._looking: asyncio.Task[None] | None = None

    async def disconnect(self) -> None:
        await super().disconnect()
        await self.scene.written()
        if (looking := self._looking) is not None:
            looking.cancel()
            await asyncio.wait({looking})

    @command(group=GROUP)
    async def forget_pairs(self) -> None:
        """Begin anew with zeros and flats for gain and read noise."""
        self._pairs = PhotonPairs()
        self.photon_transfer.publish(self._pairs.text)

    def image_taken(self, exposure: Exposure) -> None:
        super().image_taken(exposure)
        if not self.looks_at_images.value:
            return
        self._next = exposure
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._look_at_all(), name=f"{self.name} quick look")

    async def _look_at_all(self) -> None:
        while (exposure := self._next) is not None:
            self._next = None
            problem = ""
            try:
                await self._look(exposure)
            except Exception as error:
                problem = f"{reason(error)}: {error}"
                self.log.warning("quick look: %s", problem)
            self.look_problem.publish_change(problem[:4096])
            self.looked_at.publish(_name(exposure))

    async def _look(self, exposure: Exposure) -> None:
        image, plan = exposure.image, exposure.plan
        assert image is not None
        name, saturation = plan.image_type.name, self.saturation.value
        found = await self.look(image.amps, image.geometry, saturation)
        if name == "object":
            gains = plan.setup.gains
            field = await self.star_search(image.amps, image.geometry, found.amp_bias, saturation, gains)
            self.fwhm_arcsec.publish(field.fwhm * _arcsec_per_pixel(plan))
            self.stars_of.publish(_name(exposure))
        elif name == "flat" and found.saturated_pixels > MOST_SATURATED * image.amps.size:
            self.photon_transfer.publish(f"{_name(exposure)} is saturated; {self._pairs.text}"[:4096])
        elif name in ("zero", "flat"):
            sample = await asyncio.to_thread(quick_look.sample, image.amps, image.geometry)
            self._pairs.add(Frame(name, plan.seconds, image.geometry, _name(exposure), sample))
            if (pairs := self._pairs.pairs()) is not None:
                await self.gain_search(*pairs)
            self.photon_transfer.publish(self._pairs.text)


def _name(exposure: Exposure) -> str:
    target = exposure.plan.target
    return exposure.plan.title if target is None else target.path.name


def _arcsec_per_pixel(plan: Plan) -> float:
    """Of a binned one; the mean of both axes, as a star's width is."""
    (scale_x, scale_y), roi = plan.setup.scale_arcsec, plan.geometry.roi
    return math.sqrt(abs(scale_x * scale_y) * roi.col_bin * roi.row_bin)
