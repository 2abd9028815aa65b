"""One pulse is one candidate, however many gulps it is seen in."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from devices.pipelines.candidates.group import Group, SamePulse, overlap

SECONDS_PER_DAY = 86400.0


@dataclass(frozen=True)
class Sighting:
    """A group that is to be reported.

    Attributes:
        group: what was found.
        name: of the candidate.
        revision: 0: a new candidate; else it replaces what was reported under its name before, and is stronger.
    """

    group: Group
    name: str
    revision: int


@dataclass(eq=False)
class _Known:
    name: str
    revision: int
    snr: float
    y: float
    x: float
    begins_s: NDArray[np.float64]
    width_s: float
    sample_s: float

    @property
    def end_s(self) -> float:
        return float(self.begins_s.max()) + self.width_s


class Deduplicator:
    """Remembers the pulses of the last gulps; all kinds of search may share it.

    Args:
        same_pulse: which groups are one pulse.
        name: gives the next candidate its name.
        memory_s: how long after its end a pulse is remembered: longer than a gulp and the longest window together, s.
    """

    def __init__(self, same_pulse: SamePulse, name: Callable[[], str], memory_s: float = 30.0) -> None:
        self._same_pulse, self._name, self._memory_s = same_pulse, name, memory_s
        self._known: list[_Known] = []
        self.repeats = 0

    def __call__(
        self, groups: Sequence[Group], mjd: float, sample_s: float, sky_px: tuple[float, float] = (0.0, 0.0)
    ) -> list[Sighting]:
        """What of a gulp's groups is to be reported: new pulses, and those that are seen better than before.

        What was seen as well or better before is counted in `repeats`.

        Args:
            groups: of the gulp.
            mjd: of its first sample, days.
            sample_s: length of its samples, s.
            sky_px: by how many pixels (y, x) the sky has moved since the first call.
        """
        gulp_s = mjd * SECONDS_PER_DAY
        self._known = [known for known in self._known if known.end_s > gulp_s - self._memory_s]
        sightings = []
        for group in sorted(groups, key=lambda group: -group.snr):
            seen = _Known(
                name="",
                revision=0,
                snr=group.snr,
                y=group.y - sky_px[0],
                x=group.x - sky_px[1],
                begins_s=gulp_s + sample_s * np.asarray(group.begins),
                width_s=sample_s * group.width,
                sample_s=sample_s,
            )
            known = next((known for known in self._known if self._one(known, seen)), None)
            if known is None:
                seen.name = self._name()
                self._known.append(seen)
            elif seen.snr > known.snr:
                seen.name, seen.revision = known.name, known.revision + 1
                self._known[self._known.index(known)] = seen
            else:
                self.repeats += 1
                continue
            sightings.append(Sighting(group, seen.name, seen.revision))
        return sightings

    def _one(self, known: _Known, seen: _Known) -> bool:
        slack_s = max(known.sample_s, seen.sample_s)
        if not overlap(known.begins_s, known.width_s, seen.begins_s, seen.width_s, slack_s):
            return False
        strong, weak = max(known.snr, seen.snr), min(known.snr, seen.snr)
        dy, dx = np.array([seen.y - known.y]), np.array([seen.x - known.x])
        return bool(self._same_pulse.in_place(dy, dx, strong, np.array([weak]))[0])
