"""The telescope that the camera is at: where it points, what it tracks, its focus."""

from __future__ import annotations

import asyncio
import contextlib
import math
import time
from collections.abc import Mapping
from typing import Annotated, Final

from devices.ccd.alpaca_mount import AlpacaMount
from devices.ccd.header import Entry, Value
from devices.ccd.lx200_mount import Lx200Mount
from devices.ccd.mount import Mount, Pointing
from devices.ccd.simulated_mount import SimulatedMount
from devices.ccd.telescope_header import telescope_entries
from devices.ccd.telescope_properties import TelescopeProperties
from devices.ccd.tool import CcdTool, settle
from devices.core import Argument, Deadband, DeviceState, Operation, attribute, command, operation
from devices.core.errors import BadValueError, ConfigurationError, NotAllowedError, RangeError, TimeoutError, reason
from devices.pipelines.ccd.alt_az_mount import AltAzMount
from devices.pipelines.ccd.sky_place import SkyPlace, offset_from, seen_from, separation_deg

PERIOD: Final = 0.5
#: How often a slew is looked at that somebody waits for, s.
WATCH_PERIOD: Final = 0.1
#: A mount this near to what was asked for still aims there: its own coordinates are coarse, deg.
AIMED: Final = 60.0 / 3600.0
#: Beyond it the tangent plane is no good any more, arcsec.
LARGEST_OFFSET: Final = 7200.0
Arcsec = Annotated[float, Argument(unit="arcsec")]
Moving = Deadband(absolute=0.001, period=10.0)


class CcdTelescope(CcdTool):
    """A telescope on a mount of any make; the property ``mount`` says which, a site's own overrides ``make_mount``.

    Whatever would bring it beyond its limits of altitude is refused before anything moves.
    """

    header_group = "telescope"
    properties_class = TelescopeProperties
    properties: TelescopeProperties

    right_ascension = attribute(float, unit="h", precision=6, limits=(0.0, 24.0), doc="Right ascension, J2000")
    declination = attribute(float, unit="deg", precision=5, limits=(-90.0, 90.0), doc="Declination, J2000")
    position_angle = attribute(float, unit="deg", precision=3, limits=(-360.0, 360.0), doc="Of the camera on the sky")
    focus = attribute(float, precision=2, doc="Position of the secondary's focus")
    tracking = attribute(bool, doc="Whether it follows the sky")
    slewing = attribute(bool, doc="Whether it is on the way to another place")
    altitude = attribute(float, unit="deg", precision=3, change=Moving, doc="Above the horizon, without refraction")
    azimuth = attribute(float, unit="deg", precision=3, change=Moving, doc="From north through east")
    airmass = attribute(float, precision=4, change=Moving, doc="Secant of the zenith distance")
    hour_angle = attribute(float, unit="h", precision=4, change=Moving, doc="Positive in the west")
    sidereal_time = attribute(float, unit="h", precision=4, change=Moving, doc="Local apparent sidereal time")
    parallactic_angle = attribute(float, unit="deg", precision=3, change=Moving, doc="Of the zenith")
    offset_east = attribute(float, unit="arcsec", precision=2, initial=0.0, doc="All offsets since it was pointed")
    offset_north = attribute(float, unit="arcsec", precision=2, initial=0.0, doc="All offsets since it was pointed")
    mount_identity = attribute(str, doc="What the mount says it is")

    def build(self) -> None:
        super().build()
        given = self.properties
        if given.lowest_altitude > given.highest_altitude:
            text = f"lowest_altitude = {given.lowest_altitude} deg is above highest_altitude = {given.highest_altitude}"
            raise ConfigurationError(self.name, [text])
        if len(given.focus_limits) != 2 or given.focus_limits[0] > given.focus_limits[1]:
            text = f"focus_limits = {given.focus_limits} are not the least and the greatest position"
            raise ConfigurationError(self.name, [text])
        self.focus.configure(limits=(given.focus_limits[0], given.focus_limits[1]))
        settle(self.position_angle, given.position_angle)
        self.mount = self.make_mount()
        self._asking = asyncio.Lock()
        self.add_poll(self.poll_pointing, PERIOD, "pointing")

    def make_mount(self) -> Mount:
        """The mount that the properties name, not connected.

        Raises:
            ConfigurationError: it needs a link, and none is given.
        """
        given = self.properties
        if given.mount == "simulated":
            rest = given.park_azimuth, given.park_altitude
            model = AltAzMount(given.site, given.slew_rate, given.acceleration, azimuth=rest[0], altitude=rest[1])
            return SimulatedMount(model, rest)
        if not given.link:
            raise ConfigurationError(self.name, [f"mount = {given.mount} needs the property link"])
        if given.mount == "alpaca":
            try:
                return AlpacaMount(given.link, given.focuser)
            except BadValueError as error:
                raise ConfigurationError(self.name, [str(error)]) from error
        return Lx200Mount(given.link, given.equinox, given.guide_rate)

    async def connect(self) -> None:
        self.mount_identity.publish(await self.mount.connect())
        pointing = await self.ask_pointing()
        settle(self.right_ascension, pointing.right_ascension_h)
        settle(self.declination, pointing.declination_deg)
        settle(self.tracking, pointing.is_tracking)
        if self.mount.has_focus:
            settle(self.focus, await self.mount.focus())

    async def disconnect(self) -> None:
        await self.mount.close()

    def place(self, hours: float, degrees: float) -> SkyPlace:
        """Where a place of the sky stands now."""
        return seen_from(self.properties.site, hours, degrees, time.time())

    async def poll_pointing(self) -> None:
        """Ask where it points."""
        await self.ask_pointing()

    async def ask_pointing(self) -> Pointing:
        """Ask where it points, and publish it."""
        # Of two that ask at once, the older answer must not be published last.
        async with self._asking:
            return await self._ask_pointing()

    async def _ask_pointing(self) -> Pointing:
        pointing = await self.mount.pointing()
        place = self.place(pointing.right_ascension_h, pointing.declination_deg)
        self.right_ascension.publish(pointing.right_ascension_h)
        self.declination.publish(pointing.declination_deg)
        self.tracking.publish(pointing.is_tracking)
        self.slewing.publish(pointing.is_slewing)
        self.altitude.publish(place.altitude_deg)
        self.azimuth.publish(place.azimuth_deg)
        self.hour_angle.publish(place.hour_angle_h)
        self.sidereal_time.publish(place.sidereal_h)
        self.parallactic_angle.publish(place.parallactic_deg)
        if place.airmass is None:
            self.airmass.publish_invalid(f"altitude = {place.altitude_deg:.2f} deg")
        else:
            self.airmass.publish(place.airmass)
        if self.mount.has_focus and not pointing.is_slewing:
            self.focus.publish(await self.mount.focus())
        self.set_state(DeviceState.MOVING if pointing.is_slewing else DeviceState.ON)
        await self._watch_limit(pointing, place)
        return pointing

    async def _watch_limit(self, pointing: Pointing, place: SkyPlace) -> None:
        """What it tracks has set below the limit: it stops there."""
        lowest = self.properties.lowest_altitude
        if pointing.is_slewing or not pointing.is_tracking or place.altitude_deg >= lowest:
            self.set_fault("limit", "")
            return
        text = f"altitude = {place.altitude_deg:.2f} deg is below {lowest:g} deg"
        try:
            await self.mount.track(False)
        except NotAllowedError as error:
            self.set_fault("limit", f"{text}: {error}")
        else:
            self.log.warning("%s: tracking is off", text)
            settle(self.tracking, False)

    # Moving --------------------------------------------------------------------------------------------------------

    def check_place(self, hours: float, degrees: float) -> None:
        """Whether it may point there now.

        Raises:
            RangeError: it stands too low or too high.
        """
        low, high = self.properties.lowest_altitude, self.properties.highest_altitude
        altitude = self.place(hours, degrees).altitude_deg
        if not low <= altitude <= high:
            raise RangeError(
                f"altitude = {altitude:.2f} deg of right ascension {hours:.5f} h, declination {degrees:.4f} deg "
                f"is outside [{low}, {high}] deg"
            )

    @property
    def aim(self) -> tuple[float, float]:
        """What it aims at, h and deg: what was asked for, unless it was moved by somebody else since."""
        actual = self.right_ascension.value, self.declination.value
        hours, degrees = self.right_ascension.setpoint, self.declination.setpoint
        if hours is None or degrees is None or hours.value is None or degrees.value is None:
            return actual
        asked = hours.value, degrees.value
        return asked if self.slewing.value or separation_deg(asked, actual) < AIMED else actual

    async def _slew(self, hours: float, degrees: float) -> None:
        self.check_place(hours, degrees)
        await self.mount.slew(hours % 24.0, degrees)
        self._aimed(hours % 24.0, degrees)
        self.offset_east.publish(0.0)
        self.offset_north.publish(0.0)

    def _aimed(self, hours: float, degrees: float) -> None:
        self.right_ascension.publish_setpoint(hours)
        self.declination.publish_setpoint(degrees)
        self.tracking.publish_setpoint(True)

    @right_ascension.write
    async def write_right_ascension(self, hours: float) -> None:
        await self._slew(hours, self.aim[1])
        await self.ask_pointing()

    @declination.write
    async def write_declination(self, degrees: float) -> None:
        await self._slew(self.aim[0], degrees)
        await self.ask_pointing()

    @tracking.write
    async def write_tracking(self, on: bool) -> None:
        if on:
            self.check_place(self.right_ascension.value, self.declination.value)
        await self.mount.track(on)
        await self.ask_pointing()

    @position_angle.write
    async def write_position_angle(self, degrees: float) -> None:
        self.position_angle.publish(degrees)

    @focus.write
    async def write_focus(self, position: float) -> None:
        await self.mount.move_focus(position)
        await self.rests_soon()
        self.focus.publish(await self.mount.focus())

    async def is_moving(self) -> bool:
        """Ask whether the focus moves; a slew is no reason to keep a dark waiting."""
        return await self.mount.is_focusing()

    async def exposure_start(self) -> None:
        # One that is away ends no exposure; the header tells.
        with contextlib.suppress(ConnectionError):
            await self.at_rest()

    async def _arrive(self, run: Operation) -> None:
        """Wait until it does not slew any more; whatever ends the wait before, stops the mount."""
        limit = self.properties.slew_timeout
        try:
            first = 0.0
            async with asyncio.timeout(limit):
                while (pointing := await self.ask_pointing()).is_slewing:
                    left = separation_deg(self.aim, (pointing.right_ascension_h, pointing.declination_deg))
                    first = max(first, left)
                    run.report(100.0 * (1.0 - left / first) if first else 0.0, f"{left:.2f} deg left")
                    await asyncio.sleep(WATCH_PERIOD)
        except BaseException as error:
            try:
                await self.mount.stop()
            except Exception as failure:
                # Why the wait ended is told first.
                self.log.warning("the slew was not stopped: %s: %s", reason(failure), failure)
            if isinstance(error, ConnectionError):
                self.lost(error)
            if isinstance(error, asyncio.TimeoutError) and not isinstance(error, TimeoutError):
                raise TimeoutError(f"{self.name} has not arrived within slew_timeout = {limit:g} s") from None
            raise

    # Commands ------------------------------------------------------------------------------------------------------

    @operation(group="Pointing")
    async def point(
        self,
        run: Operation,
        right_ascension: Annotated[float, Argument(unit="h", limits=(0.0, 24.0))],
        declination: Annotated[float, Argument(unit="deg", limits=(-90.0, 90.0))],
    ) -> None:
        """Point to a place, J2000, and follow it; over when it is there."""
        await self._slew(right_ascension, declination)
        await self._arrive(run)

    @operation(group="Pointing")
    async def offset(self, run: Operation, east: Arcsec = 0.0, north: Arcsec = 0.0) -> None:
        """Move by so much on the sky; over when it is there."""
        if not math.hypot(east, north) <= LARGEST_OFFSET:
            raise RangeError(f"offset = {east:g}, {north:g} arcsec is longer than {LARGEST_OFFSET:g} arcsec")
        aim = self.aim
        target = offset_from(*aim, east, north)
        self.check_place(*target)
        await self.mount.offset(aim, east, north)
        self._aimed(*target)
        self.offset_east.publish(self.offset_east.value + east)
        self.offset_north.publish(self.offset_north.value + north)
        await self._arrive(run)

    @operation(group="Pointing")
    async def park(self, run: Operation) -> None:
        """Go to the place of rest, where it does not track."""
        await self.mount.park()
        self.tracking.publish_setpoint(False)
        await self._arrive(run)

    @command(stops=True, group="Pointing")
    async def halt(self) -> None:
        """Stop a slew."""
        await self.mount.stop()
        pointing = await self.ask_pointing()
        self._aimed(pointing.right_ascension_h, pointing.declination_deg)
        settle(self.tracking, pointing.is_tracking)

    @command()
    async def step_focus(self, step: float) -> None:
        """Move the focus by a step."""
        await self.put("focus", self.focus.value + step)

    async def entries(self) -> Mapping[str, Entry | tuple[Value, str]]:
        pointing = await self.ask_pointing()
        place = self.place(pointing.right_ascension_h, pointing.declination_deg)
        found = telescope_entries(self.properties, pointing, place)
        found["ROTANGLE"] = (self.position_angle.value, "[deg] position angle of the camera on the sky")
        if self.offset_east.value or self.offset_north.value:
            found["RAOFFST"] = (round(self.offset_east.value, 3), "[arcsec] offset to the east, on the sky")
            found["DECOFFST"] = (round(self.offset_north.value, 3), "[arcsec] offset to the north")
        if self.mount.has_focus:
            found["TELFOCUS"] = (self.focus.value, "focus of the telescope")
        return found


class SimulatedTelescope(CcdTelescope):
    """A telescope without hardware."""
