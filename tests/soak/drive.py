"""What happens in the soak: bursts of values, kills of device servers and of clients, each followed by a check."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from p4p.client.thread import Context
from p4p.nt import NTURI

from tests.soak import values
from tests.soak.clients import PROCESSES, Clients
from tests.soak.site import Site, racks_of

FINAL_SECONDS = 15.0  # in which every subscriber shows the last value
BACK_SECONDS = 30.0  # the same after a server was killed
BURST_TIMEOUT = 60.0
LOST_SECONDS = 15.0  # in which the call to a killed server fails
KILL_CHANCE = 1 / 12  # of a burst to be the last one of its server
CLIENT_KILL_SECONDS = 12.0, 40.0  # between two kills of client processes

BURST = NTURI([("count", "i"), ("rate", "d")])


@dataclass
class Tale:
    """What happened.

    Attributes:
        away: rack, from when to when its server was dead, s, monotonic.
        faults: what was wrong.
    """

    bursts: int = 0
    server_kills: int = 0
    finals: int = 0
    links: int = 0
    slowest_final: float = 0.0  # s from the end of a burst
    away: list[tuple[int, float, float]] = field(default_factory=list)
    missed: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    def was_away(self, rack: int, begun: float, ended: float) -> bool:
        return any(rack == each and begun <= back and ended >= died for each, died, back in self.away)


class Drive:
    """Drives a site and its clients in threads of its own.

    Args:
        pva: how to reach the mirror.
    """

    def __init__(self, site: Site, clients: Clients, pva: Mapping[str, str], seed: int) -> None:
        self.tale = Tale()
        self._site, self._clients, self._pva = site, clients, dict(pva)
        self._random = random.Random(seed)
        self._lock = threading.Lock()
        self._end = 0.0

    def run(self, seconds: float) -> None:
        """Have the clients come, live for a while, and leave after the last check."""
        self._end = time.monotonic() + seconds
        self._clients.come(self._random.randrange(1 << 30))
        self._context = Context("pva", conf=self._pva, useenv=False, nt=False)
        dice = [random.Random(self._random.random()) for _ in range(values.SERVERS + 1)]
        with ThreadPoolExecutor(len(dice)) as pool:
            jobs = [pool.submit(self._disturb, number, dice[number]) for number in range(values.SERVERS)]
            jobs.append(pool.submit(self._kill_clients, dice[-1]))
            for job in jobs:
                job.result()
        self._context.close()
        self._clients.leave()

    def _disturb(self, server: int, chosen: random.Random) -> None:
        while time.monotonic() < self._end:
            rack, count, rate = chosen.choice(racks_of(server)), chosen.randint(5, 40), chosen.choice((5, 10, 20, 0))
            try:
                if chosen.random() < KILL_CHANCE:
                    self._kill_server(server, rack, chosen.uniform(0.0, 1.5))
                else:
                    self._run_burst(rack, count, rate)
            except Exception as error:  # the others go on, and there is a report at the end
                self._fault(f"racks{server}, rack {rack}: {type(error).__name__}: {error}")
            time.sleep(chosen.uniform(0.0, 1.5))

    def _run_burst(self, rack: int, count: int, rate: float) -> None:
        self._check(rack, self._burst(rack, count, rate).result(BURST_TIMEOUT), None, FINAL_SECONDS)
        with self._lock:
            self.tale.bursts += 1

    def _kill_server(self, server: int, rack: int, delay: float) -> None:
        """In the middle of a burst."""
        burst = self._burst(rack, 1000, 20.0)
        time.sleep(delay)
        died_at = time.monotonic()
        self._site.kill(server)
        self._fails_in_time(burst, died_at)
        for each in racks_of(server):
            self._check(each, self._site.sequence(each), died_at, BACK_SECONDS)
        with self._lock:
            self.tale.server_kills += 1
            self.tale.away += [(each, died_at, time.monotonic()) for each in racks_of(server)]

    def _burst(self, rack: int, count: int, rate: float) -> Future[int]:
        """An operation, called by name over PVAccess; its result is the last sequence number."""
        name, outcome = f"RACK{rack}:Burst", Future[int]()
        call = BURST.wrap(name, kws={"count": count, "rate": rate})

        def run() -> None:
            try:
                outcome.set_result(int(self._context.rpc(name, call, timeout=BURST_TIMEOUT)["value"]))
            except Exception as error:
                outcome.set_exception(error)

        threading.Thread(target=run, daemon=True).start()
        return outcome

    def _fails_in_time(self, burst: Future[int], died_at: float) -> None:
        error: BaseException | str | None
        try:
            error = burst.exception(LOST_SECONDS)
        except TimeoutError:
            error = None
        if error is None:
            self._fault(f"a call to a server that was killed {time.monotonic() - died_at:.1f} s ago did not fail")

    def _check(self, rack: int, sequence: int, died_at: float | None, seconds: float) -> None:
        begun = time.monotonic()
        found: dict[str, Any] = self._clients.check(rack, sequence, died_at, seconds)
        with self._lock:
            self.tale.finals += found["checked"]
            self.tale.links += found["saw"]
            if died_at is None:
                self.tale.slowest_final = max(self.tale.slowest_final, time.monotonic() - begun)
            self.tale.missed += [*found["missed"], *found["blind"]]

    def _kill_clients(self, chosen: random.Random) -> None:
        while (pause := chosen.uniform(*CLIENT_KILL_SECONDS)) < self._end - time.monotonic():
            time.sleep(pause)
            self._clients.kill(chosen.randrange(len(PROCESSES)), chosen.randrange(1 << 30))

    def _fault(self, text: str) -> None:
        with self._lock:
            self.tale.faults.append(f"{time.strftime('%H:%M:%S')} {text}")
