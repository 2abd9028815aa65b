"""The pulses that clients asked to inject: which gulps they go into, and how the search found them."""

from __future__ import annotations

import json
import math
from collections import deque
from dataclasses import dataclass
from typing import Any, Final

from devices.correlator.gulp import Gulp
from devices.correlator.injection import Pulse
from devices.correlator.job import Found

KEPT: Final = 20


@dataclass
class Injection:
    """A pulse and its fate.

    Attributes:
        pulse: the truth.
        first_isot, mjd: the gulp that it begins in, and when it arrives at the lowest centre frequency; "" and NaN
            before that.
        passed: samples from the first sample of that gulp to the first one of the gulp to come.
        amplitude: of its brightest pixel, in units of the images; NaN before it is known.
        recovered: greatest significance that was found at its pixel, sigma.
        candidate: what it became; "": nothing.
        state: WAITING, RUNNING, DONE, or LOST: a gulp of it was not searched.
    """

    pulse: Pulse
    first_isot: str = ""
    mjd: float = math.nan
    passed: int = 0
    amplitude: float = math.nan
    recovered: float = 0.0
    candidate: str = ""
    state: str = "WAITING"

    def to_dict(self) -> dict[str, Any]:
        pulse = self.pulse
        return {
            "id": pulse.identity,
            "state": self.state,
            "isot": self.first_isot,
            "mjd": None if math.isnan(self.mjd) else self.mjd,
            "y": pulse.y,
            "x": pulse.x,
            "dm": pulse.dm,
            "width_samples": pulse.width,
            "expected": pulse.snr,
            "amplitude": None if math.isnan(self.amplitude) else self.amplitude,
            "recovered": self.recovered,
            "candidate": self.candidate,
        }


class Injections:
    """The injections of a server, newest first.

    Args:
        samples: of a gulp.
        sample_s: s.
    """

    def __init__(self, samples: int, sample_s: float) -> None:
        self._samples, self._sample_s = samples, sample_s
        self._all: deque[Injection] = deque(maxlen=KEPT)

    def __len__(self) -> int:
        return len(self._all)

    @property
    def newest(self) -> Injection | None:
        return self._all[0] if self._all else None

    def begin(self, pulse: Pulse) -> Injection:
        """It goes into the gulps that are searched from now on."""
        injection = Injection(pulse)
        self._all.appendleft(injection)
        return injection

    def part_of(self, gulp: Gulp, follows: bool) -> tuple[tuple[Pulse, int], ...]:
        """The pulses that go into a gulp, each with the samples that passed since its first gulp began."""
        parts = []
        for injection in self._all:
            if injection.state == "RUNNING" and not follows:
                injection.state = "LOST"
            if injection.state == "WAITING":
                injection.state, injection.first_isot = "RUNNING", gulp.isot
                injection.mjd = gulp.mjd + injection.pulse.start * self._sample_s / 86400.0
            if injection.state == "RUNNING":
                parts.append((injection.pulse, injection.passed))
                injection.passed += self._samples
        return tuple(parts)

    def found(self, found: Found) -> list[Injection]:
        """Note what the search made of them; those that are over with this gulp."""
        over = []
        for injection in self._all:
            for part in found.injected:
                if part.identity == injection.pulse.identity and injection.state == "RUNNING":
                    injection.amplitude = part.amplitude
                    injection.recovered = max(injection.recovered, part.recovered)
                    injection.candidate = part.name or injection.candidate
                    if injection.passed >= injection.pulse.end:
                        injection.state = "DONE"
                        over.append(injection)
        return over

    def lost(self) -> None:
        """A gulp was not searched: what went on in it is lost."""
        for injection in self._all:
            if injection.state == "RUNNING":
                injection.state = "LOST"

    def to_json(self) -> str:
        return json.dumps([injection.to_dict() for injection in self._all])
