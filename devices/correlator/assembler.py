"""From sub-bands that come in any order to gulps that are delivered in the order of their times."""

from __future__ import annotations

import asyncio
import enum
import logging
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from devices.core.errors import RangeError
from devices.correlator.gulp import Gulp, GulpShape
from devices.correlator.slots import CubeSlots
from devices.drivers.correlator_message import MessageName

log = logging.getLogger(__name__)

#: Gulps that have ended and are remembered, to tell a sub-band that is late from one that begins a gulp.
REMEMBERED: Final = 64


@dataclass(frozen=True)
class AssemblyPolicy:
    """What is done with sub-bands that do not come as they should.

    Attributes:
        wait_s: a gulp that lacks sub-bands is delivered so long after its first one, s; a gulp lasts 3.36 s.
        open_gulps: that many may lack sub-bands at a time; one more, and the oldest is delivered as it is.
        duplicates: which of two equal sub-bands of a gulp is kept.
        late: what comes after its gulp was delivered is refused, or dropped and acknowledged.
        when_full: without a free slot the oldest incomplete gulp is given up, or the sub-band is refused.
        restart_s: a gulp older than the last delivered one by more than this is no late one: the nodes' clock, or a
            replay, began anew, s.
    """

    wait_s: float = 3.5
    open_gulps: int = 2
    duplicates: Literal["first", "last"] = "first"
    late: Literal["refuse", "drop"] = "refuse"
    when_full: Literal["drop_oldest", "refuse"] = "drop_oldest"
    restart_s: float = 60.0

    def __post_init__(self) -> None:
        if not (0.0 < self.wait_s < math.inf and self.open_gulps >= 1 and 0.0 <= self.restart_s < math.inf):
            raise RangeError(
                f"wait = {self.wait_s:g} s (> 0), open_gulps = {self.open_gulps} (>= 1), "
                f"restart = {self.restart_s:g} s (>= 0)"
            )


@dataclass
class AssemblyCounts:
    """What became of gulps and sub-bands since the assembler was made.

    Attributes:
        begun, complete, incomplete: gulps that began, and that were delivered with all sub-bands or without some.
        given_up: gulps that lost their slot to a newer one.
        missing: sub-bands that delivered gulps lack.
        stored, late, duplicate, no_slot: sub-bands that were taken, and that were not, for three reasons.
        restarts: how often the times of the nodes went back.
    """

    begun: int = 0
    complete: int = 0
    incomplete: int = 0
    given_up: int = 0
    missing: int = 0
    stored: int = 0
    late: int = 0
    duplicate: int = 0
    no_slot: int = 0
    restarts: int = 0


class Refusal(enum.Enum):
    """Why a sub-band has no place."""

    LATE = "its gulp has been delivered"
    DUPLICATE = "its gulp has it"
    NO_SLOT = "no slot is free"


@dataclass
class OpenGulp:
    """A gulp that is being assembled."""

    number: int
    name: MessageName
    mjd: float
    slot: int
    cube: NDArray[np.float32]
    present: NDArray[np.bool_]
    began_unix: float
    timer: asyncio.TimerHandle
    writing: set[int] = field(default_factory=set)
    ended: bool = False


@dataclass(frozen=True)
class Place:
    """Where a sub-band is to be written: ``into`` has axes (sample, y, x)."""

    gulp: OpenGulp
    channel: int
    into: NDArray[np.float32]


class Assembler:
    """Sub-bands with one time are one gulp. All methods run in the device's loop; none waits.

    Args:
        shape: of each gulp.
        slots: where cubes lie; whoever is delivered a gulp releases its slot.
        policy: what is done with sub-bands that do not come as they should.
        deliver: takes gulps, rising times.
        make_room: asked first when no slot is free; whether it released one, of a gulp that waits for its search.
    """

    def __init__(
        self,
        shape: GulpShape,
        slots: CubeSlots,
        policy: AssemblyPolicy,
        deliver: Callable[[Gulp], None],
        make_room: Callable[[], bool] = lambda: False,
    ) -> None:
        self.shape, self.policy = shape, policy
        self.counts = AssemblyCounts()
        self._slots, self._deliver, self._make_room = slots, deliver, make_room
        self._open: dict[str, OpenGulp] = {}
        self._past: dict[str, NDArray[np.bool_]] = {}
        self._last_mjd = -math.inf

    @property
    def open(self) -> int:
        """Gulps that are being assembled."""
        return len(self._open)

    def next_channel(self, isot: str) -> int:
        """The lowest sub-band that a gulp lacks; 0 where it lacks none: for a client that plays all of them."""
        gulp = self._open.get(isot)
        if gulp is None:
            return 0
        lacking = [each for each in np.flatnonzero(~gulp.present) if each not in gulp.writing]
        return int(lacking[0]) if lacking else 0

    def reserve(self, name: MessageName, channel: int) -> Place | Refusal:
        """A place for a sub-band, to be given back by `stored` or `failed`."""
        gulp = self._open.get(name.isot)
        if gulp is None:
            past = self._past.get(name.isot)
            if past is not None and past[channel]:
                return self._refused(Refusal.DUPLICATE)
            if past is not None or self._is_late(name.mjd):
                return self._refused(Refusal.LATE)
            begun = self._begin(name)
            if isinstance(begun, Refusal):
                return self._refused(begun)
            gulp = begun
        if channel in gulp.writing or (gulp.present[channel] and self.policy.duplicates == "first"):
            return self._refused(Refusal.DUPLICATE)
        if gulp.ended:
            return self._refused(Refusal.DUPLICATE if gulp.present[channel] else Refusal.LATE)
        if gulp.present[channel]:
            self.counts.duplicate += 1
        if math.isnan(gulp.name.uv_diag_m):
            gulp.name = name
        gulp.present[channel] = False
        gulp.writing.add(channel)
        return Place(gulp, channel, gulp.cube[channel])

    def stored(self, place: Place) -> None:
        """The sub-band has been written."""
        self.counts.stored += 1
        place.gulp.writing.remove(place.channel)
        place.gulp.present[place.channel] = True
        if place.gulp.present.all():
            place.gulp.ended = True
        self._settle()

    def failed(self, place: Place) -> None:
        """The sub-band could not be written."""
        place.gulp.writing.remove(place.channel)
        self._settle()

    def end_all(self) -> None:
        """Deliver what there is, complete or not."""
        for gulp in self._open.values():
            gulp.ended = True
        self._settle()

    def close(self) -> None:
        """Give up what there is; nobody writes any more."""
        for gulp in self._open.values():
            gulp.timer.cancel()
            self._slots.release(gulp.slot)
        self._open.clear()

    def _is_late(self, mjd: float) -> bool:
        behind_s = (self._last_mjd - mjd) * 86400.0
        return 0.0 <= behind_s <= self.policy.restart_s

    def _refused(self, why: Refusal) -> Refusal:
        if why is Refusal.LATE:
            self.counts.late += 1
        elif why is Refusal.DUPLICATE:
            self.counts.duplicate += 1
        else:
            self.counts.no_slot += 1
        return why

    def _begin(self, name: MessageName) -> OpenGulp | Refusal:
        lacking = sorted((gulp for gulp in self._open.values() if not gulp.ended), key=_time)
        if len(lacking) >= self.policy.open_gulps:
            lacking[0].ended = True
            self._settle()
            if self._is_late(name.mjd):
                return Refusal.LATE
        slot = self._slot(name.mjd)
        if slot is None:
            return Refusal.NO_SLOT
        if name.mjd < self._last_mjd:
            self.counts.restarts += 1
            log.warning("gulp %s is far before the last one: the times of the nodes begin anew", name.isot)
        self.counts.begun += 1
        gulp = OpenGulp(
            number=self.counts.begun,
            name=name,
            mjd=name.mjd,
            slot=slot,
            cube=self._slots.cube(slot),
            present=np.zeros(self.shape.channels, np.bool_),
            began_unix=time.time(),
            timer=asyncio.get_running_loop().call_later(self.policy.wait_s, self._expire, name.isot),
        )
        self._open[name.isot] = gulp
        return gulp

    def _slot(self, mjd: float) -> int | None:
        slot = self._slots.take()
        if slot is None and self._make_room():
            slot = self._slots.take()
        if slot is None and self.policy.when_full == "drop_oldest":
            idle = [gulp for gulp in self._open.values() if not (gulp.ended or gulp.writing) and gulp.mjd < mjd]
            if idle:
                self._give_up(min(idle, key=_time))
                slot = self._slots.take()
        return slot

    def _give_up(self, gulp: OpenGulp) -> None:
        self.counts.given_up += 1
        self._forget(gulp, np.zeros_like(gulp.present))
        self._slots.release(gulp.slot)
        log.warning("gulp %s is given up: no slot is free", gulp.name.isot)

    def _expire(self, isot: str) -> None:
        self._open[isot].ended = True
        self._settle()

    def _settle(self) -> None:
        """Deliver what has ended; a gulp waits for those before it, and for sub-bands that are being written."""
        while self._open:
            gulp = min(self._open.values(), key=_time)
            if gulp.writing or not gulp.ended:
                return
            self._forget(gulp, gulp.present)
            self._end(gulp)

    def _forget(self, gulp: OpenGulp, present: NDArray[np.bool_]) -> None:
        gulp.timer.cancel()
        del self._open[gulp.name.isot]
        self._past[gulp.name.isot] = present
        while len(self._past) > REMEMBERED:
            del self._past[next(iter(self._past))]

    def _end(self, gulp: OpenGulp) -> None:
        missing = np.flatnonzero(~gulp.present)
        if len(missing) == self.shape.channels:
            self._slots.release(gulp.slot)
            return
        self._last_mjd = gulp.mjd
        self.counts.missing += len(missing)
        if len(missing):
            self.counts.incomplete += 1
            gulp.cube[missing] = np.nan
        else:
            self.counts.complete += 1
        self._deliver(
            Gulp(
                number=gulp.number,
                isot=gulp.name.isot,
                mjd=gulp.mjd,
                uv_diag_m=gulp.name.uv_diag_m,
                dec_deg=gulp.name.dec_deg,
                cube=gulp.cube,
                slot=gulp.slot,
                present=gulp.present,
                began_unix=gulp.began_unix,
                ended_unix=time.time(),
            )
        )


def _time(gulp: OpenGulp) -> float:
    return gulp.mjd
