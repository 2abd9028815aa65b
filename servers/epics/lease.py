"""A lease: of several mirrors with the same devices, the one that has more than half of the votes serves.

Each voter is asked by a thread of its own, as a call to a host that is gone may take seconds. A vote counts from before
it was asked for, and for two thirds of its time: whoever loses the majority has the last third to end its connections.
"""

from __future__ import annotations

import json
import logging
import math
import os
import random
import socket
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, Final

import tango

from devices.core.errors import ConfigurationError
from servers.tango_server.failures import failure
from servers.tango_server.retired import drop

log = logging.getLogger(__name__)

PERIOD: Final = 0.3  # s between two requests to a voter
TIMEOUT: Final = 0.8  # s
RETRY: Final = 1.0  # s until a voter that did not answer is asked again
BELIEVED: Final = 2.0 / 3.0  # of the time of a vote
FRESH: Final = 1.5  # s; an older answer says nothing about now
COURTSHIP: Final = 1.0  # s; who has no majority by then gives back what it has, and others may try
REST: Final = (0.3, 1.5)  # s, by chance, until the next try


class Lease:
    """The wish of one mirror to be the one that serves.

    Args:
        name: of the lease, the same for all mirrors that stand in for each other.
        mirror: who asks; each process is another holder, so that one that was started again finds the lease taken.
        voters: Tango names of the ``LeaseVoter`` devices, the same for all these mirrors.
        seconds: for how long a vote is given.
        extend: called with the time until which the lease is held, s of the monotonic clock; in any thread.
        has_ended: whether the mirror serves nothing and will not by what it was told; no vote is given back before.
        clock: s; any that never goes back.

    Attributes:
        holder: who asks, as the voters see it.
        voters: the threads that ask.
    """

    def __init__(
        self,
        name: str,
        mirror: str,
        voters: Sequence[str],
        seconds: float,
        *,
        extend: Callable[[float], None],
        has_ended: Callable[[], bool],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name, self.seconds = name, seconds
        self.holder = f"{mirror} ({socket.gethostname()}, pid {os.getpid()})"
        self._extend, self._has_ended, self.clock = extend, has_ended, clock
        self._lock = threading.Lock()
        self.voters = [Voter(voter, self) for voter in voters]
        self._stopping = threading.Event()
        self._wanted_since: float | None = None
        # When the holder is killed and started again, the mirror that stood by goes first: it knows all values already.
        self._rests_until = clock() + seconds + COURTSHIP
        self._known, self._known_at = "", clock()

    @property
    def majority(self) -> int:
        return len(self.voters) // 2 + 1

    def start(self) -> None:
        for voter in self.voters:
            voter.start()

    def stop(self) -> None:
        """Give the votes back; only after all connections have ended."""
        self._stopping.set()
        for voter in self.voters:
            voter.wake.set()
        for voter in self.voters:
            voter.join(2 * TIMEOUT)

    def until(self) -> float:
        """Until when more than half of the votes are this mirror's, s of the monotonic clock."""
        return sorted((voter.mine_until for voter in self.voters), reverse=True)[self.majority - 1]

    def seen(self, now: float) -> tuple[str, float]:
        """Who holds the lease as far as is known ("" nobody), and how old that is, s."""
        with self._lock:
            age = now - self._known_at
            return (self._known if age < self.seconds + FRESH else "", age)

    def silent(self, now: float) -> list[str]:
        """The voters that do not answer, each with the reason."""
        return [f"{voter.device}: {voter.problem or 'no answer'}" for voter in self.voters if not voter.is_fresh(now)]

    def request(self, voter: Voter, now: float) -> float:
        """For how many seconds a voter is asked for its vote; 0 gives it back."""
        with self._lock:
            wants = self._wants(now)
            if not wants:
                voter.mine_until = -math.inf  # before it is given back, so that nobody counts it any more
            return self.seconds if wants else 0.0

    def answered(self, voter: Voter, answer: dict[str, Any], begun: float, seconds: float) -> None:
        """Take the answer of a voter that was asked for so many seconds at the time ``begun``; in its thread."""
        with self._lock:
            voter.named = str(answer["holder"])
            is_mine = voter.named == self.holder
            voter.is_free = bool(answer["is_ready"]) and (is_mine or not voter.named)
            # From before the request: the voter counts from later on, and for longer.
            voter.mine_until = begun + BELIEVED * seconds if is_mine and seconds else -math.inf
            voter.answered_at = self.clock()
            self._look(voter.answered_at)
            until = self.until()
            if voter.answered_at < until and not self._stopping.is_set():
                self._extend(until)  # under the lock: nothing on which it rests is given back meanwhile

    def _wants(self, now: float) -> bool:
        if self._stopping.is_set() or now < self.until() or not self._has_ended():
            self._wanted_since = None
            return not self._stopping.is_set()
        free = sum(each.is_free and each.is_fresh(now) for each in self.voters)
        if now < self._rests_until or free < self.majority:
            self._wanted_since = None
            return False
        if self._wanted_since is None:
            self._wanted_since = now
        if now - self._wanted_since < COURTSHIP:
            return True
        self._wanted_since, self._rests_until = None, now + random.uniform(*REST)  # noqa: S311
        return False

    def _look(self, now: float) -> None:
        fresh = [voter for voter in self.voters if voter.named and voter.is_fresh(now)]
        for holder in {voter.named for voter in fresh}:
            times = sorted((voter.answered_at for voter in fresh if voter.named == holder), reverse=True)
            if len(times) >= self.majority:
                self._known, self._known_at = holder, times[self.majority - 1]

    @property
    def is_stopping(self) -> bool:
        return self._stopping.is_set()


class Voter(threading.Thread):
    """One voter, asked again and again.

    Attributes:
        mine_until: until when its vote counts for this mirror, s of the monotonic clock.
        named: whose its vote is, by its last answer.
        is_free: it was nobody else's then, and could be given.
        problem: why it does not answer.
    """

    def __init__(self, device: str, lease: Lease) -> None:
        super().__init__(name=f"lease {device}", daemon=True)
        self.device = device
        self.mine_until = self.answered_at = -math.inf
        self.named, self.is_free, self.problem = "", False, ""
        self.wake = threading.Event()
        self._lease = lease

    def is_fresh(self, now: float) -> bool:
        return now - self.answered_at < FRESH

    def run(self) -> None:
        proxy: Any = None
        with tango.EnsureOmniThread():
            while True:
                begun = self._lease.clock()
                is_last = self._lease.is_stopping
                try:
                    if proxy is None:
                        proxy = tango.DeviceProxy(self.device)
                        proxy.set_timeout_millis(int(1000 * TIMEOUT))
                    self._ask(proxy, begun)
                except (tango.DevFailed, ValueError, LookupError) as failed:
                    drop(proxy)
                    proxy = None
                    self._lost(str(failure(failed)) if isinstance(failed, tango.DevFailed) else str(failed))
                if is_last:
                    return
                # A proxy for a server that is gone asks the database each time, and Tango tries again after 1 s only.
                self.wake.wait(max(0.0, begun + PERIOD - self._lease.clock()) if proxy is not None else RETRY)

    def _ask(self, proxy: Any, begun: float) -> None:
        lease = self._lease
        seconds = lease.request(self, begun)
        asked = {"lease": lease.name, "holder": lease.holder, "seconds": seconds, "number": time.monotonic_ns()}
        answer = json.loads(proxy.command_inout("vote", json.dumps(asked)))
        lease.answered(self, answer, begun, seconds)
        self.problem = ""

    def _lost(self, reason: str) -> None:
        if not self.problem:
            log.warning("lease %s: %s does not answer: %s", self._lease.name, self.device, reason)
        self.problem = reason


def check(name: str, voters: Sequence[str]) -> None:
    """Refuse voters that could not decide.

    Raises:
        ConfigurationError: there are none, one is named twice, or they are an even number.
    """
    problems = []
    if not voters:
        problems.append(f"lease {name} has no lease_voters")
    if len({voter.lower() for voter in voters}) < len(voters):
        problems.append(f"lease_voters of lease {name}: one is there twice")
    if voters and len(voters) % 2 == 0:
        problems.append(
            f"lease_voters of lease {name}: {len(voters)} are no better than {len(voters) - 1}; take 1 or 3"
        )
    if problems:
        raise ConfigurationError("mirror", problems)
