"""The PVAccess server: records as NTScalar, NTScalarArray, NTEnum and NTNDArray, through p4p.

A PV without a client costs a closed SharedPV; it is opened, with the newest Reading, when the first client comes.
Values are posted by one thread, for PVs that have a client only. When they come fast it rests for a moment now and
then, so that p4p sends several at once; who put something is answered first. The put handlers run in p4p's own threads
and return at once.
"""

from __future__ import annotations

import errno
import logging
import queue
import socket
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Iterable

from p4p.server import DynamicProvider, Server, StaticProvider
from p4p.server.raw import SharedPV

from devices.core.errors import ConfigurationError
from servers.epics import pva_beacon
from servers.epics.gate import Gate
from servers.epics.large_pv import LargeRecord
from servers.epics.peer_connection import PeerConnection
from servers.epics.pv import Pv
from servers.epics.records import Record
from servers.facility.address import ANY, LOOPBACK
from servers.facility.port_check import port_holder

log = logging.getLogger(__name__)

# Clients share the port of beacons, and a beacon to 127.0.0.1 reaches one of them only (measured); this reaches all.
LOOPBACK_GROUP, GROUP_OPTIONS = "224.0.0.128", ",1@127.0.0.1"
ANSWER_TIMEOUT = 1.0  # s
RETRY_PERIOD = 0.005  # s; how often a client without room is looked at again
# After so many values without a pause the posting thread rests, s: several then cost little more than one.
MANY, REST = 3, 0.001

# Records that a put or a call of another one changes, by what follows its name.
CHANGED_BY_PUT = ("", "_RBV", ":Error", ":Status", ":Result", ":Progress")

Job = Callable[[], None]


class PvAccess:
    """Serves records over PVAccess.

    Args:
        gate: takes the puts.
        bind: the address to listen on.
        port: TCP; 0 takes a free one.
        broadcast_port: UDP, searches.
        beacons: addresses of hosts or networks beside this host that hear when the server begins to serve.

    Attributes:
        updates, coalesced: values posted; values skipped because a newer one came first.
    """

    def __init__(
        self,
        gate: Gate,
        *,
        bind: str = "127.0.0.1",
        port: int = 5075,
        broadcast_port: int = 5076,
        beacons: Iterable[str] = (),
    ) -> None:
        self.gate = gate
        self.bind, self.port, self.broadcast_port = bind, port, broadcast_port
        self.updates = 0
        self.coalesced = 0
        self._beacons = (bind if bind != ANY else LOOPBACK, LOOPBACK_GROUP, *beacons)
        self._pvs: dict[str, Pv] = {}
        self._large: dict[str, LargeRecord] = {}
        self._is_open = False
        self._lock = threading.RLock()  # of what p4p serves
        self._connections: weakref.WeakValueDictionary[str, PeerConnection] = weakref.WeakValueDictionary()
        self._due: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._answers: deque[tuple[str, Job]] = deque()
        self._later: deque[tuple[float, Job]] = deque()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Bind, listen and return; no name is found before ``open``.

        Raises:
            ConfigurationError: the port is taken (by whom, and what to change).
        """
        _demand_free(self.bind, self.port)
        self._listen()
        self._thread = threading.Thread(target=self._post, name="epics-pva")
        self._thread.start()

    def open(self) -> None:
        """Have the names of all records found, and tell clients that the server is here."""
        with self._lock:
            if self._thread is None or self._is_open:
                return
            self._is_open = True
            for name, pv in self._pvs.items():
                self._provider.add(name, pv.shared)
            for name in self._large:
                self._large_names.add(name, SharedPV())
        pva_beacon.send(
            pva_beacon.beacon(self.bind, self.port), [(address, self.broadcast_port) for address in self._beacons]
        )

    def shut(self) -> None:
        """End all connections, and find no name; p4p can do that only by another server on the same ports."""
        with self._lock:
            if self._thread is None or not self._is_open:
                return
            self._is_open = False
            self._server.stop()
            for pv in self._pvs.values():
                pv.silence()
            self._listen()

    def _listen(self) -> None:
        self._provider = StaticProvider("diptych")
        self._large_provider = DynamicProvider("diptych-large", self)
        self._large_names = StaticProvider("diptych-large-names")
        self._server = Server(
            # Channels are made by the first that can. The last one only answers searches and lists: p4p believes a
            # DynamicProvider's "no" for 10 s, and does not list its names.
            providers=[(self._provider, 0), (self._large_provider, 1), (self._large_names, 2)],
            useenv=False,  # configured by arguments, never by the environment of the parent
            conf={
                "EPICS_PVAS_INTF_ADDR_LIST": self.bind,
                "EPICS_PVAS_SERVER_PORT": str(self.port),
                "EPICS_PVAS_BROADCAST_PORT": str(self.broadcast_port),
                "EPICS_PVAS_BEACON_ADDR_LIST": " ".join(
                    address + (GROUP_OPTIONS if address == LOOPBACK_GROUP else "") for address in self._beacons
                ),
                "EPICS_PVAS_AUTO_BEACON_ADDR_LIST": "NO",
            },
        )
        conf = self._server.conf()
        port = int(conf["EPICS_PVAS_SERVER_PORT"])
        if self.port not in (0, port):  # p4p takes another port when somebody was faster
            self._server.stop()
            raise _taken(self.bind, self.port)
        self.port, self.broadcast_port = port, int(conf["EPICS_PVAS_BROADCAST_PORT"])

    def stop(self) -> None:
        """Close every PV and socket, and end the thread."""
        if self._thread is None:
            return
        self.remove([*self._pvs, *self._large])
        self._server.stop()
        self._due.put(None)
        self._thread.join()
        self._thread = None

    @property
    def clients(self) -> int:
        """PVs that have at least one client."""
        return sum(pv.connected for pv in list(self._pvs.values())) + sum(
            any(pv.connected for pv in large.clients) for large in list(self._large.values())
        )

    def add(self, record: Record) -> None:
        """Serve a record."""
        with self._lock:
            if record.is_large or record.rank == 2:
                self._large[record.name] = LargeRecord(self, record)
                if self._is_open:
                    self._large_names.add(record.name, SharedPV())
                return
            pv = self._pvs[record.name] = Pv(self, record)
            if self._is_open:
                self._provider.add(record.name, pv.shared)

    def remove(self, names: list[str]) -> None:
        """Serve some records no more; their clients are disconnected and search again.

        Puts that have ended are answered first: a pvxs client whose channel goes meanwhile puts again when it is back.
        """
        self._wait_for_answers()
        for name in names:
            with self._lock:
                pv, large = self._pvs.pop(name, None), self._large.pop(name, None)
                if self._is_open and pv is not None:
                    self._provider.remove(name)
                elif self._is_open and large is not None:
                    self._large_names.remove(name)
            if pv is not None:
                pv.silence()
                pv.shared.close(destroy=True)
            elif large is not None:
                large.close()

    def _wait_for_answers(self) -> None:
        """Wait until all answers that are due by now are on their way."""
        if self._thread is not None and self._thread is not threading.current_thread():
            sent = threading.Event()
            self.enqueue(sent.set)
            sent.wait(ANSWER_TIMEOUT)

    def testChannel(self, name: str) -> bool:  # p4p calls it so, and the next one
        return self._is_open and name in self._large

    def makeChannel(self, name: str, peer: str) -> object:
        large = self._large.get(name)
        return None if large is None else large.new_client(peer).shared

    def connection(self, peer: str) -> PeerConnection:
        """The connection of a client, one for all its channels."""
        found = self._connections.get(peer)
        if found is None:
            found = self._connections[peer] = PeerConnection(peer)
        return found

    def enqueue(self, job: Job) -> None:
        """Do something in the posting thread."""
        self._due.put(job)

    def enqueue_answer(self, name: str, job: Job) -> None:
        """Answer a put of a record, before all values but those that it changed: they are there when its client hears.

        So a client that puts does not wait behind the values of a device that publishes as fast as it can.
        """
        self._answers.append((name, job))
        self._due.put(self._answer)

    def _answer(self) -> None:
        """Give all answers that wait."""
        while self._answers:
            name, job = self._answers.popleft()
            for ending in CHANGED_BY_PUT:
                if pv := self._pvs.get(name + ending):
                    _do(pv.post)
            _do(job)

    def enqueue_later(self, job: Job) -> None:
        """Do something again in a moment; in the posting thread."""
        self._later.append((time.monotonic() + RETRY_PERIOD, job))

    def _post(self) -> None:
        done = 0
        while True:
            if self._due.empty():
                if done >= MANY:
                    time.sleep(REST)
                done = 0
            done += 1
            wait = self._later[0][0] - time.monotonic() if self._later else None
            try:
                job = self._due.get(timeout=wait) if wait is None or wait > 0.0 else self._later.popleft()[1]
            except queue.Empty:
                continue
            if job is None:
                return
            self._answer()
            _do(job)
            del job  # not kept until the next one comes, with the client of it


def _do(job: Job) -> None:
    try:
        job()
    except Exception:
        log.exception("PVAccess: a value cannot be posted, or a put not be answered")


def _demand_free(bind: str, port: int) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind((bind, port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise _taken(bind, port) from error
            text = f"TCP port {port} on {bind} cannot be had ({error.strerror})"
            raise ConfigurationError("PVAccess", [text]) from error


def _taken(bind: str, port: int) -> ConfigurationError:
    holder = f"{port_holder(port)} has it; end that, or choose another pva_port"
    return ConfigurationError("PVAccess", [f"TCP port {port} on {bind} cannot be had: {holder}"])
