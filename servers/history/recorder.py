"""What the mirrors serve, as samples: one PVAccess subscription for each number and enumeration.

PVAccess calls back in its own threads and only leaves a note; values are taken from the queues a few times a second.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any, Final

from p4p import Value
from p4p.client.raw import Context, Disconnected

from servers.facility.pv_list import ServedPv
from servers.history.archive_list import ArchiveList
from servers.history.store import INVALID, NANOSECONDS, Facts, Sample
from servers.history.track import Track

log = logging.getLogger(__name__)

#: Without limits and labels an update is half as much work; ``display`` is not there for enumerations.
REQUEST: Final = "field(value,alarm,timeStamp,display.units)record[queueSize=16]"
LINK_STATUS: Final = 2  # alarm.status "driver": the mirror lost the device
DUE_S: Final = 1.0


class Subscription:
    """One PV that is recorded: its queue, its track, and what is known of it."""

    def __init__(self, pv: ServedPv, track: Track) -> None:
        self.pv, self.track = pv, track
        self.facts = Facts(kind=pv.kind, device=pv.device, part=pv.part)
        self.is_enum = False
        self.monitor: Any = None

    def close(self) -> None:
        monitor, self.monitor = self.monitor, None
        if monitor is not None:
            monitor.close()


class Recorder:
    """Follows the PVs that an archive list wants, and hands out samples.

    Every method but the callback is for one thread.

    Args:
        configuration: of the PVAccess client, ``EPICS_PVA_...``.
        archive: how closely each PV is recorded.
        clock_ns: the time now, ns since 1970.
    """

    def __init__(
        self,
        configuration: Mapping[str, str],
        archive: ArchiveList,
        clock_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self._context = Context("pva", conf=dict(configuration), useenv=False, nt=False)
        self._archive, self._clock_ns = archive, clock_ns
        self._subscriptions: dict[str, Subscription] = {}
        self._lock = threading.Lock()
        self._noted: set[Subscription] = set()
        self._resting: set[Subscription] = set()  # those of which something may be due without an update
        self._described: dict[str, Facts] = {}
        self._due_at = 0.0

    @property
    def names(self) -> list[str]:
        return sorted(self._subscriptions)

    def follow(self, served: Iterable[ServedPv]) -> list[Sample]:
        """Record what is in the list and no more; returns the ends of those that are not any more."""
        wanted = {pv.name: pv for pv in served if pv.is_archived}
        samples = []
        for name in [each for each in self._subscriptions if each not in wanted]:
            samples += self._leave(self._subscriptions.pop(name))
        for name, pv in wanted.items():
            rule = self._archive.rule(name, pv.device, pv.part)
            if name not in self._subscriptions and not rule.is_off:
                new = self._subscriptions[name] = Subscription(pv, Track(name, rule))
                self._described[name] = new.facts
                new.monitor = self._context.monitor(name, partial(self._note, new), request=REQUEST)
        return samples

    def take(self) -> list[Sample]:
        """What came since the last call and is worth keeping."""
        with self._lock:
            noted, self._noted = self._noted, set()
        now_ns, at = self._clock_ns(), time.monotonic()
        samples: list[Sample] = []
        for subscription in noted:
            monitor, track = subscription.monitor, subscription.track
            while monitor is not None and (update := monitor.pop()) is not None:
                if isinstance(update, Value):
                    samples += self._taken(subscription, update, now_ns, at)
                else:
                    if not isinstance(update, Disconnected):
                        log.warning("%s: %s", track.name, update)
                    samples += track.lose(now_ns, at)
            if track.is_waiting:
                self._resting.add(subscription)
        if at - self._due_at >= DUE_S:
            self._due_at = at
            for subscription in self._resting:
                samples += subscription.track.due(now_ns, at)
            self._resting = {each for each in self._resting if each.track.is_waiting and each.monitor is not None}
        return samples

    def described(self) -> tuple[dict[str, Facts], dict[str, float]]:
        """What became known of PVs since the last call, and for how long samples are kept where a rule says so."""
        facts, self._described = self._described, {}
        rules = {name: self._subscriptions[name].track.rule for name in facts if name in self._subscriptions}
        return facts, {name: rule.keep_s for name, rule in rules.items() if rule.keep_s is not None}

    def close(self) -> list[Sample]:
        """Leave all PVs; returns their ends."""
        samples = self.take()
        for subscription in self._subscriptions.values():
            samples += self._leave(subscription)
        self._subscriptions.clear()
        self._context.close()
        return samples

    def _leave(self, subscription: Subscription) -> list[Sample]:
        subscription.close()
        return subscription.track.lose(self._clock_ns(), time.monotonic())

    def _note(self, subscription: Subscription) -> None:
        """Something came; in a thread of PVAccess."""
        with self._lock:
            self._noted.add(subscription)

    def _taken(self, subscription: Subscription, update: Value, now_ns: int, at: float) -> list[Sample]:
        value = update.value
        if isinstance(value, Value):  # an enumeration
            if not subscription.is_enum or update.changed("value.choices"):
                subscription.is_enum = True
                self._learn(subscription, labels=tuple(value.choices))
            value = value.index
        elif update.changed("display.units"):
            self._learn(subscription, unit=update.display.units)
        stamp, alarm = update.timeStamp, update.alarm
        time_ns = stamp.secondsPastEpoch * NANOSECONDS + stamp.nanoseconds
        severity = min(alarm.severity, INVALID)
        is_connected = not (severity == INVALID and alarm.status == LINK_STATUS)
        return subscription.track.take(time_ns or now_ns, float(value), severity, is_connected, now_ns, at)

    def _learn(self, subscription: Subscription, unit: str | None = None, labels: tuple[str, ...] = ()) -> None:
        facts = subscription.facts
        subscription.facts = Facts(
            facts.kind, facts.unit if unit is None else unit, labels or facts.labels, facts.device, facts.part
        )
        self._described[subscription.pv.name] = subscription.facts
