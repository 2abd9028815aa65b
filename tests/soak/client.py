"""A process of EPICS clients that come and go; run with the program, the first client's number, how many, and the seed.

It prints lines of JSON: faults as they are found, once a second what it has counted, and answers to what it is asked on
its standard input: whether every subscriber of a rack shows its last values.
"""

from __future__ import annotations

import json
import os
import random
import sys
import threading
import time
from typing import Any

from tests.soak import values
from tests.soak.links import LINKS, Link
from tests.soak.witness import Witness

SESSION_SECONDS = 5.0, 40.0
PAUSE_SECONDS = 0.2, 1.2  # between two calls of a client
READBACK_SECONDS = 5.0
CONNECT_SECONDS = 20.0  # in which every subscription has brought its first value
WIDE = 0.08  # of all sessions subscribe to every level of all racks

_output = threading.Lock()


def say(**what: Any) -> None:
    with _output:
        print(json.dumps(what), flush=True)


class Client(threading.Thread):
    """One client: it connects, subscribes, gets and puts for a while, and goes, again and again."""

    def __init__(self, program: str, number: int, seed: int) -> None:
        super().__init__(name=f"{program} {number}", daemon=True)
        self.number = number
        self.counts = dict.fromkeys(("sessions", "updates", "gets", "puts", "subscriptions"), 0)
        self.witnesses: list[Witness] = []
        self.stopping = threading.Event()
        self._began = time.monotonic()
        self._program = LINKS[program]
        self._random = random.Random(f"{seed} {number}")

    def run(self) -> None:
        while not self.stopping.is_set():
            link: Link | None = None
            try:
                link = self._program()
                self._live(link)
            except Exception as error:
                self._fault("session", f"{type(error).__name__}: {error}")
                self.stopping.wait(1.0)
            finally:
                self._leave(link)

    def _live(self, link: Link) -> None:
        self.counts["sessions"] += 1
        self._began = time.monotonic()
        chosen = self._random
        self.witnesses = [
            Witness(pv, rack, values.number_of(rack, index), lambda text: self._fault("value", text))
            for rack, index, pv in self._chosen_pvs(link.has_images)
        ]
        self.counts["subscriptions"] += len(self.witnesses)
        link.subscribe(self.witnesses)
        end = time.monotonic() + chosen.uniform(*SESSION_SECONDS)
        while time.monotonic() < end and not self.stopping.is_set():
            link.rest(chosen.uniform(*PAUSE_SECONDS))
            if chosen.random() < 0.3:
                self._put(link)
            else:
                self._get(link)

    def _chosen_pvs(self, has_images: bool) -> list[tuple[int, int, str]]:
        chosen, racks = self._random, range(values.RACKS)
        if chosen.random() < WIDE:
            return [(rack, index, values.level_pv(rack, index)) for rack in racks for index in range(values.LEVELS)]
        pvs = []
        for rack in chosen.sample(racks, 3):
            pvs += [(rack, each, values.level_pv(rack, each)) for each in chosen.sample(range(values.LEVELS), 7)]
            pvs += [(rack, values.TEXT, f"RACK{rack}:Text"), (rack, values.SPECTRUM, f"RACK{rack}:Spectrum")]
        if has_images and chosen.random() < 0.3:
            pvs.append((rack, values.IMAGE, f"RACK{rack}:Image"))
        return pvs

    def _get(self, link: Link) -> None:
        """A get is never behind what the same client was told before."""
        witness = self._random.choice(self.witnesses)
        known = witness.sequence
        sequence, number = values.read(link.get(witness.pv))
        self.counts["gets"] += 1
        if number != witness.number or sequence < known:
            self._fault("value", f"{witness.pv}: get {sequence} of {number} after {known} of {witness.number}")

    def _put(self, link: Link) -> None:
        """Each client has one setting of its own in each server; nobody else puts there."""
        rack = self._random.randrange(values.SERVERS) * values.SERVERS + self.number // values.SETTINGS
        index = self.number % values.SETTINGS
        pv = values.setting_pv(rack, index)
        asked = values.value(values.sequence_now(), values.number_of(rack, values.LEVELS + index))
        begun = time.monotonic()
        try:
            link.put(pv, asked)
            self.counts["puts"] += 1
            for name in (pv, f"{pv}_RBV"):
                deadline = time.monotonic() + READBACK_SECONDS
                while (shown := link.get(name)) != asked:
                    if time.monotonic() > deadline:
                        raise ValueError(f"{name} is {shown!r} after a put of {asked!r}")
                    link.rest(0.05)
        except Exception as error:  # right while the rack's server is dead, which only the driver knows
            self._fault("put", f"{pv}: {type(error).__name__}: {error}", rack=rack, begun=begun, ended=time.monotonic())

    def _leave(self, link: Link | None) -> None:
        for witness in self.witnesses:
            witness.is_open = False
            self.counts["updates"] += witness.updates
            if not witness.updates and time.monotonic() - self._began > CONNECT_SECONDS:
                self._fault("connection", f"{witness.pv}: no value at all")
        self.witnesses = []
        if link is not None:
            try:
                link.close(abruptly=self._random.random() < 0.5)
            except OSError:
                pass  # closed by a former fault
            except Exception as error:
                self._fault("session", f"leaving: {type(error).__name__}: {error}")

    def _fault(self, kind: str, text: str, **more: Any) -> None:
        say(fault=kind, client=self.name, text=f"{time.strftime('%H:%M:%S')} {text}", **more)


def check(clients: list[Client], asked: dict[str, Any]) -> None:
    """Answer whether all subscribers of a rack come to show a value, and saw its server die."""
    rack, sequence, died_at = asked["rack"], asked["sequence"], asked["died_at"]
    racks = [witness for client in clients for witness in list(client.witnesses) if witness.rack == rack]
    there = [witness for witness in racks if witness.updates]
    saw = [witness for witness in there if died_at and witness.began_at < died_at]
    deadline = time.monotonic() + asked["seconds"]

    def missed() -> list[Witness]:
        return [witness for witness in there if witness.is_open and not witness.shows(sequence)]

    def blind() -> list[Witness]:
        return [witness for witness in saw if witness.is_open and witness.link_at < died_at]

    while (missed() or blind()) and time.monotonic() < deadline:
        time.sleep(0.02)
    say(
        answer=asked["check"],
        checked=len(there),
        saw=len(saw),
        missed=[f"{each.pv}: {each.sequence}, severity {each.severity}, not {sequence}" for each in missed()],
        blind=[f"{each.pv}: never INVALID, LINK" for each in blind()],
    )


def main() -> None:
    program, first, count, seed = sys.argv[1], *map(int, sys.argv[2:])
    clients = [Client(program, number, seed) for number in range(first, first + count)]
    for client in clients:
        client.start()

    def tell() -> None:
        totals = {name: sum(client.counts[name] for client in clients) for name in clients[0].counts}
        live = [witness for client in clients for witness in list(client.witnesses)]
        totals["updates"] += sum(witness.updates for witness in live)
        say(counts=totals, live=len(live))

    def tell_all_the_time() -> None:
        while True:
            tell()
            time.sleep(1.0)

    threading.Thread(target=tell_all_the_time, daemon=True).start()
    for line in sys.stdin:
        threading.Thread(target=check, args=(clients, json.loads(line)), daemon=True).start()
    for client in clients:
        client.stopping.set()
    for client in clients:
        client.join(30.0)
    tell()
    os._exit(0)  # libca need not take leave


if __name__ == "__main__":
    main()
