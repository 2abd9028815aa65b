"""What the mirrors serve, as samples: one Channel Access subscription for each number and enumeration.

Enumerations, booleans and integers come as doubles, too: the server converts them, and all messages are alike.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from itertools import count
from typing import Final

from servers.facility.pv_list import ServedPv
from servers.history.archive_list import ArchiveList
from servers.history.ca_circuit import Circuit, Lost, Refused
from servers.history.ca_messages import EPOCH_S, Update
from servers.history.store import INVALID, NANOSECONDS, Facts, Sample
from servers.history.track import Track

log = logging.getLogger(__name__)

LINK_STATUS: Final = frozenset((9, 14))  # COMM_ALARM, LINK_ALARM: the mirror lost the device
SILENCE_S: Final = 1.0  # between two looks for PVs that were silent too long
PATIENCE_S: Final = (0.5, 10.0)  # before a PV that nobody serves is asked for again: at first, and at most


class Subscription:
    """One PV that is recorded.

    Attributes:
        number: what it is called on the wire, and by no other one ever.
        circuit: where its channel is, or is asked for.
        patience_s: how long it rests when it is refused.
    """

    __slots__ = ("circuit", "number", "patience_s", "pv", "track")

    def __init__(self, number: int, pv: ServedPv, track: Track, circuit: Circuit) -> None:
        self.number, self.pv, self.track, self.circuit = number, pv, track, circuit
        self.patience_s = PATIENCE_S[0]

    @property
    def facts(self) -> Facts:
        pv = self.pv
        return Facts(pv.kind, pv.unit, pv.labels, pv.device, pv.part)


class Recorder:
    """Follows the PVs that an archive list wants, and hands out samples.

    Every method is for one thread, and none waits.

    Args:
        host, port: of the mirror's Channel Access; a PV that it refers to another port is taken from there.
        archive: how closely each PV is recorded.
        clock_ns: the time now, ns since 1970.

    Attributes:
        received: values that came since the start, kept or not.
    """

    def __init__(self, host: str, port: int, archive: ArchiveList, clock_ns: Callable[[], int] = time.time_ns) -> None:
        self.received = 0
        self._host, self._mirror = host, Circuit(host, port)
        self._circuits = {port: self._mirror}
        self._archive, self._clock_ns = archive, clock_ns
        self._numbers = count(1)
        self._subscriptions: dict[str, Subscription] = {}
        self._by_number: dict[int, Subscription] = {}
        self._refused: dict[Subscription, float] = {}  # when they are asked for again, monotonic s
        self._waiting: set[Track] = set()  # for the time of their rule to be over
        self._described: dict[str, Facts] = {}
        self._silence_at = 0.0

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
            known = self._subscriptions.get(name)
            if known is None:
                self._begin(pv)
            elif known.pv != pv:
                known.pv = pv
                self._described[name] = known.facts
        return samples

    def take(self) -> list[Sample]:
        """What came since the last call and is worth keeping."""
        now_ns, at = self._clock_ns(), time.monotonic()
        samples: list[Sample] = []
        for circuit in list(self._circuits.values()):
            for part in circuit.poll(at):
                samples += self._values(part, now_ns, at) if isinstance(part, list) else self._ended(part, now_ns, at)
        for track in self._waiting:
            samples += track.due(now_ns, at)
        self._waiting = {track for track in self._waiting if track.is_waiting}
        if at >= self._silence_at:
            self._silence_at = at + SILENCE_S
            for subscription in self._by_number.values():
                samples += subscription.track.due(now_ns, at)
        for subscription in [each for each, due in self._refused.items() if due <= at]:
            del self._refused[subscription]
            self._open(subscription, self._mirror)
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
        for circuit in self._circuits.values():
            circuit.close()
        return samples

    def _begin(self, pv: ServedPv) -> None:
        rule = self._archive.rule(pv.name, pv.device, pv.part)
        if not rule.is_off:
            new = Subscription(next(self._numbers), pv, Track(pv.name, rule), self._mirror)
            self._subscriptions[pv.name] = self._by_number[new.number] = new
            self._described[pv.name] = new.facts
            self._open(new, self._mirror)

    def _leave(self, subscription: Subscription) -> list[Sample]:
        subscription.circuit.leave(subscription.number)
        del self._by_number[subscription.number]
        self._refused.pop(subscription, None)
        self._waiting.discard(subscription.track)
        return subscription.track.lose(self._clock_ns(), time.monotonic())

    def _open(self, subscription: Subscription, circuit: Circuit) -> None:
        subscription.circuit = circuit
        circuit.open(subscription.number, subscription.pv.name)

    def _values(self, updates: list[Update], now_ns: int, at: float) -> list[Sample]:
        self.received += len(updates)
        samples: list[Sample] = []
        by_number = self._by_number
        for _, _, number, status, severity, seconds, nanoseconds, value in updates:
            subscription = by_number.get(number)
            if subscription is None:
                continue  # it was left, and this was on its way
            time_ns = (EPOCH_S + seconds) * NANOSECONDS + nanoseconds if seconds else now_ns
            is_connected = severity < INVALID or status not in LINK_STATUS
            track = subscription.track
            kept = track.take(time_ns, value, min(severity, INVALID), is_connected, now_ns, at)
            if kept:
                samples += kept
            elif track.is_waiting:
                self._waiting.add(track)
        return samples

    def _ended(self, end: Lost | Refused, now_ns: int, at: float) -> list[Sample]:
        """Nothing comes any more: ask the mirror again, or whom it names."""
        subscription = self._by_number.get(end.number)
        if subscription is None:
            return []
        if isinstance(end, Lost):
            subscription.patience_s = PATIENCE_S[0]
            self._open(subscription, self._mirror)
        elif end.port:
            if end.port not in self._circuits:
                self._circuits[end.port] = Circuit(self._host, end.port)
            self._open(subscription, self._circuits[end.port])
        else:
            self._refused[subscription] = at + subscription.patience_s
            subscription.patience_s = min(2 * subscription.patience_s, PATIENCE_S[1])
        return subscription.track.lose(now_ns, at)
