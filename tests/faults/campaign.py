"""One fault after the other, each followed by a look at everything."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from fnmatch import fnmatch
from typing import Any, Final

from tests.faults.fault import Fault, round_of
from tests.faults.scene import Scene

WRONG_S: Final = 5.0  # a value that is older, and is shown as good, is wrong
CALM_S: Final = 3.0  # for which all is well before a fault counts as over
RECOVERY_SECONDS: Final = 300.0
MARGIN_S: Final = 2.0, 5.0  # of records, before and after a fault that stops them


@dataclass
class Outcome:
    """What came of one fault.

    Attributes:
        hit: PVs that were not good, at most, at the client that saw most of them.
        recovery_s: from the end of the fault until every PV was good at every client; None: it did not come.
        oldest_s: the highest age of a value that was shown as good.
        wrong: values that were shown as good and older than 5 s.
        lost: what was acknowledged and is not there.
        still_bad: PVs, when the recovery did not come.
    """

    kind: str
    name: str
    at: str
    begun_s: float
    seconds: float
    hit: int
    recovery_s: float | None
    oldest_s: float
    wrong: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    still_bad: list[str] = field(default_factory=list)

    @property
    def is_well(self) -> bool:
        return self.recovery_s is not None and not self.wrong and not self.lost

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


class Campaign:
    """Runs rounds of faults.

    Args:
        seconds: 0 for one round; otherwise rounds begin, and faults with them, until so much time is over.
        every: seconds between the beginnings of two faults, at least.
        hold_s: how long a fault lasts that has a length.
        only: patterns of KIND/NAME; other faults are left out.
    """

    def __init__(self, scene: Scene, seconds: float, every: float, hold_s: float, only: Sequence[str]) -> None:
        self.outcomes: list[Outcome] = []
        self._scene, self._seconds, self._every, self._hold_s, self._only = scene, seconds, every, hold_s, only
        self._unrecorded: list[tuple[float, float]] = []
        self._unaudited: list[tuple[float, float]] = []

    def run(self) -> None:
        self._began = time.monotonic()
        while True:
            for fault in round_of(self._scene, self._hold_s):
                if not any(fnmatch(f"{fault.kind}/{fault.name}", pattern) for pattern in self._only):
                    continue
                begun = time.monotonic()
                self._suffer(fault)
                if self._is_over:
                    return
                time.sleep(max(0.0, begun + self._every - time.monotonic()))
            if not self._seconds:
                return

    @property
    def _is_over(self) -> bool:
        return bool(self._seconds) and time.monotonic() > self._began + self._seconds

    def _suffer(self, fault: Fault) -> None:
        scene, watch = self._scene, self._scene.watch
        watch.take_worst()
        watch.take_oldest()
        begun = time.monotonic()
        at = time.strftime("%H:%M:%S")
        fault.begin()
        # What has no length is over when it has been done, whatever that took.
        ended = begun
        if fault.seconds:
            while time.monotonic() < begun + fault.seconds:
                watch.look()
                time.sleep(0.05)
            fault.end()
            ended = time.monotonic()
        fault.settle()
        good_at = watch.wait_until_good(CALM_S, RECOVERY_SECONDS)
        over = time.monotonic()
        if fault.stops_records:
            self._unrecorded.append((begun - MARGIN_S[0], over + MARGIN_S[1]))
        if fault.kind == "disk full":
            self._unaudited.append((begun - MARGIN_S[0], over))
        ages = {
            f"{pv} ({who.name})": age
            for (pv, who), age in watch.take_oldest().items()
            if not (who.is_far and fault.cuts_clients)
        }
        outcome = Outcome(
            kind=fault.kind,
            name=fault.name,
            at=at,
            begun_s=round(begun - self._began, 1),
            seconds=round(ended - begun, 1),
            hit=watch.take_worst(),
            recovery_s=None if good_at is None else round(max(0.0, good_at - ended), 2),
            oldest_s=max(ages.values(), default=0.0),
            wrong=[f"{name}: {age:.1f} s old" for name, age in ages.items() if age > WRONG_S],
            lost=scene.lost([*self._unrecorded, *watch.gaps], self._unaudited),
            still_bad=[]
            if good_at is not None
            else [f"{who}: {', '.join(pvs[:10])}" for who, pvs in watch.bad().items()],
        )
        self.outcomes.append(outcome)
        took = "no recovery" if outcome.recovery_s is None else f"{outcome.recovery_s:.1f} s"
        print(
            f"{at} {fault.kind}, {fault.name}: {outcome.hit} PVs, good again after {took}, "
            f"at worst {outcome.oldest_s:.1f} s old",
            *outcome.wrong, *outcome.lost, *outcome.still_bad, sep="\n  ", flush=True,
        )  # fmt: skip
