"""When each row of a script would be done, and where its target stands then: what a dry run shows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from devices.ccd.observing.row import Row
from devices.ccd.observing.script import Script, Setting
from devices.pipelines.ccd.alt_az_mount import AltAzMount
from devices.pipelines.ccd.sky_place import Site, seen_from, separation_deg

#: The altitude is looked at that often while a row goes on, s.
LOOK_PERIOD: Final = 300.0
#: A telescope that aims so near to a place is there, deg.
THERE: Final = 0.1 / 3600.0


@dataclass(frozen=True)
class Pace:
    """How long things take, s and deg/s; overheads are what was measured beyond what can be reckoned.

    Attributes:
        exposure_overhead: of each image beyond its exposure: clear, read out, write.
        filter_seconds: of a change of filter.
        slew_overhead: of each slew beyond the motion by `slew_rate` and `acceleration`.
    """

    exposure_overhead: float
    filter_seconds: float
    slew_overhead: float
    slew_rate: float
    acceleration: float


@dataclass(frozen=True)
class Aim:
    """The telescope of the camera: its site and limits, deg, and where it points now, J2000, h and deg."""

    site: Site
    lowest: float
    highest: float
    place: tuple[float, float]


@dataclass(frozen=True)
class Step:
    """A row in time.

    Attributes:
        begins, exposes, ends: of the row, of its first exposure, and its end, s since 1970.
        altitude, airmass: when it exposes; None: without a telescope, or too low for an airmass.
        violations: what the telescope would refuse.
    """

    row: Row
    begins: float
    exposes: float
    ends: float
    altitude: float | None
    airmass: float | None
    violations: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        return {
            "row": self.row.number,
            "line": self.row.line,
            "text": str(self.row),
            "images": self.row.images,
            "begins": round(self.begins, 1),
            "exposes": round(self.exposes, 1),
            "ends": round(self.ends, 1),
            "altitude": None if self.altitude is None else round(self.altitude, 2),
            "airmass": None if self.airmass is None else round(self.airmass, 3),
            "violations": list(self.violations),
        }


class Timetable:
    """Carries a script out in thought.

    Args:
        begin: s since 1970.
        filter: in the beam at the begin.
        aim: None: there is no telescope.
    """

    def __init__(self, begin: float, pace: Pace, filter: str, aim: Aim | None) -> None:
        self._now = begin
        self._pace = pace
        self._filter = filter.casefold()
        self._aim = aim
        self._mount: AltAzMount | None = None
        if aim is not None:
            site = aim.site
            place = seen_from(site, *aim.place, begin)
            self._mount = AltAzMount(
                site, pace.slew_rate, pace.acceleration,
                azimuth=place.azimuth_deg, altitude=place.altitude_deg, clock=lambda: self._now,
            )  # fmt: skip
        self._is_placed = False

    def steps(self, script: Script, first: int = 1, done: int = 0) -> Iterator[Step]:
        """Each row from the first one on.

        Args:
            done: images of the first row that are there already.
        """
        setting = script.setting_before(first)
        for row in script.rows[first - 1 :]:
            if row.command == "quit":
                return
            yield self._step(row, setting, done)
            setting, done = Setting(), 0

    def _step(self, row: Row, setting: Setting, done: int) -> Step:
        begins = self._now
        violations: list[str] = []
        self._point(setting.place, 0.0, 0.0, violations)
        self._point(row.place, row.east, row.north, violations)
        self._change_filter(row.filter or setting.filter)
        exposes = self._now
        if row.exposes:
            self._now += (row.repeats - done) * (row.seconds + self._pace.exposure_overhead)
        elif row.command == "delay":
            self._now += row.seconds
        altitude = airmass = None
        if self._aim is not None and self._mount is not None and (row.exposes or row.place or row.east or row.north):
            place = seen_from(self._aim.site, *self._mount.equatorial, exposes)
            altitude, airmass = place.altitude_deg, place.airmass
            if self._is_placed and row.exposes:
                violations += self._setting_below(exposes)
        return Step(row, begins, exposes, self._now, altitude, airmass, tuple(dict.fromkeys(violations)))

    def _change_filter(self, name: str) -> None:
        if name and name.casefold() != self._filter:
            self._filter = name.casefold()
            self._now += self._pace.filter_seconds

    def _point(self, place: tuple[float, float] | None, east: float, north: float, violations: list[str]) -> None:
        mount, aim = self._mount, self._aim
        if mount is None or aim is None:
            return
        if place is not None:
            self._is_placed = True
            altitude = seen_from(aim.site, *place, self._now).altitude_deg
            if not aim.lowest <= altitude <= aim.highest:
                violations.append(_outside(altitude, aim))
            if separation_deg(mount.equatorial, place) > THERE:
                mount.slew(*place)
                self._arrive(mount)
        if east or north:
            mount.offset(east, north)
            self._arrive(mount)

    def _arrive(self, mount: AltAzMount) -> None:
        self._now = max(self._now, mount.ends) + self._pace.slew_overhead

    def _setting_below(self, exposes: float) -> Iterator[str]:
        """What sets, or comes too near to the zenith, while the row goes on."""
        assert self._aim is not None and self._mount is not None
        place, moment = self._mount.equatorial, exposes
        while True:
            altitude = seen_from(self._aim.site, *place, moment).altitude_deg
            if not self._aim.lowest <= altitude <= self._aim.highest:
                yield _outside(altitude, self._aim)
                return
            if moment >= self._now:
                return
            moment = min(moment + LOOK_PERIOD, self._now)


def _outside(altitude: float, aim: Aim) -> str:
    return f"altitude = {altitude:.1f} deg is outside [{aim.lowest:g}, {aim.highest:g}] deg"


def slew_seconds(aim: Aim, pace: Pace, target: tuple[float, float], now: float) -> float:
    """How long a slew to a place takes by its rates, without overhead, s."""
    place = seen_from(aim.site, *aim.place, now)
    mount = AltAzMount(
        aim.site, pace.slew_rate, pace.acceleration,
        azimuth=place.azimuth_deg, altitude=place.altitude_deg, clock=lambda: now,
    )  # fmt: skip
    mount.slew(*target)
    return mount.ends - now
