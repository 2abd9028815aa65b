"""The Channel Access server: sockets, searches, beacons, and updates to whoever subscribed.

It runs its own asyncio loop in its own thread. Records are changed in other threads; a change only marks the view, the
loop takes the newest Reading when it gets there and sends all that is due to one client in one write. So under load
updates are batched and old values are skipped, and without load nothing waits: caproto's own server batches by timers
of up to 1 s and leaves Nagle's delay on its sockets (42 ms at 100 updates/s, measured).
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any, cast
from weakref import WeakValueDictionary

import caproto as ca

from devices.core.errors import ConfigurationError
from servers.epics import dbr
from servers.epics.circuit import Circuit, Subscription
from servers.epics.fields import View, view
from servers.epics.gate import Gate
from servers.epics.monitor import Monitor
from servers.epics.records import Reading, Record
from servers.facility.port_check import port_holder

log = logging.getLogger(__name__)

BATCH = 50  # views published before other work of the loop gets its turn
# After so many views at once the loop waits, s, before it looks for more: several then cost little more than one.
MANY, REST = 3, 0.001
BEACON_FIRST, BEACON_LAST = 0.02, 15.0  # s; the period doubles from the first to the last
FREE_PORT_TRIES = 20
LAG_PERIOD = 0.5  # s between two measurements of the loop's lag
SHUT_TIMEOUT = 0.5  # s; a loop that is later answers nothing either


class ChannelAccess:
    """Serves records over Channel Access.

    Args:
        gate: takes the puts.
        find: a record by its name.
        elsewhere: a record that another process of this host serves, and the port where it does, by its name.
        bind: the address to listen on; searches are answered on the same one.
        port: TCP and UDP; 0 takes a free one.
        repeater_port: where beacons go, on this host and on those of ``beacons``, which may be of a whole network.
        image_limit: bytes of an image that is still served as a waveform.
        may_serve: asked before anything is answered; when it says no, nothing is found and nobody is served.

    Attributes:
        circuits: the clients' connections.
        updates, coalesced: monitor updates sent; values skipped because a newer one came first.
        lag: how late the loop was at worst in the last half second, s.
    """

    def __init__(
        self,
        gate: Gate,
        find: Callable[[str], Record | None],
        *,
        elsewhere: Callable[[str], tuple[Record | None, int]] = lambda name: (None, 0),
        bind: str = "127.0.0.1",
        port: int = 5064,
        repeater_port: int = 5065,
        beacons: Iterable[str] = (),
        image_limit: int = 4 << 20,
        may_serve: Callable[[], bool] = lambda: True,
    ) -> None:
        self.gate, self._find, self._elsewhere = gate, find, elsewhere
        self.may_serve = may_serve
        self.bind, self.port, self.repeater_port = bind, port, repeater_port
        self._beacon_addresses = [(host, repeater_port) for host in ("127.0.0.1", *beacons)]
        self.image_limit = image_limit
        self.max_message = image_limit + (1 << 16)
        self.circuits: set[Circuit] = set()
        self.updates = 0
        self.coalesced = 0
        self.lag = 0.0
        # A client can make up any number of channel filters: a view lasts as long as a channel has it.
        self._views: WeakValueDictionary[str, View] = WeakValueDictionary()
        self._monitors: dict[View, Monitor] = {}
        self._due: deque[Monitor] = deque()
        self._scheduled = False
        self._ready = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._beaconing: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Bind, listen and return; ``open`` tells clients that the server is there.

        Raises:
            ConfigurationError: a port is taken (by whom, and what to change).
        """
        self._tcp, self._udp = _bound_sockets(self.bind, self.port)
        self.port = self._tcp.getsockname()[1]
        self._thread = threading.Thread(target=self._run, name="epics-ca")
        self._thread.start()
        self._ready.wait()

    def stop(self) -> None:
        """Close every connection and socket, and end the thread."""
        if self._thread is not None and self._loop is not None:
            with contextlib.suppress(RuntimeError):  # the loop has ended by itself
                self._loop.call_soon_threadsafe(self._stopping.set)
            self._thread.join()
            self._thread = None

    def open(self) -> None:
        """Tell clients that the server is here."""
        self.call(self._begin_beacons)

    def shut(self) -> None:
        """End all connections, and wait until that is done."""
        done = threading.Event()
        self.call(self._shut, done)
        if self._thread is not None:
            done.wait(SHUT_TIMEOUT)

    def call(self, function: Callable[..., Any], *arguments: Any) -> None:
        """Have a function called in the loop; in any thread. After ``stop`` it is not called."""
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(function, *arguments)

    def remove(self, names: Iterable[str]) -> None:
        """Disconnect all channels of these records; in any thread."""
        self.call(self._remove, frozenset(names))

    def refresh_rights(self) -> None:
        """Send changed access rights to all clients; in any thread."""
        self.call(self._refresh_rights)

    def search(self, name: str) -> int:
        """The port where a client finds a name on this host; 0 when it is not known."""
        if not self.may_serve():
            return 0
        if name in self._views or self._make_view(name, self._find) is not None:
            return self.port
        _, port = self._elsewhere(name.partition(".")[0].rstrip("$"))
        return port if port and self._make_view(name, lambda base: self._elsewhere(base)[0]) is not None else 0

    def view(self, name: str) -> View | None:
        """The view of a name, one object per name; in the loop."""
        if not self.may_serve():
            return None
        found = self._views.get(name)
        if found is None and (found := self._make_view(name, self._find)) is not None:
            self._views[name] = found
        return found

    def _make_view(self, name: str, find: Callable[[str], Record | None]) -> View | None:
        made = view(name, find)
        if made is not None and made.record.rank == 2 and made.is_value:
            size = made.count * dbr.DTYPES[made.native].itemsize
            return made if size <= self.image_limit else None
        return made

    def subscribe(self, view: View, subscription: Subscription) -> Reading:
        """Returns the reading to begin with: all that follow are newer."""
        monitor = self._monitors.get(view)
        if monitor is None:
            monitor = self._monitors[view] = Monitor(self, view)
            view.record.listen(monitor.changed)
        begin = self.newest(view)
        monitor.subscriptions.append(subscription)
        return begin

    def unsubscribe(self, view: View, subscription: Subscription) -> None:
        monitor = self._monitors[view]
        monitor.subscriptions.remove(subscription)
        if not monitor.subscriptions:
            view.record.unlisten(monitor.changed)
            del self._monitors[view]

    def newest(self, view: View) -> Reading:
        """The newest reading of a name that is subscribed to; what is older has been sent to its subscribers before."""
        monitor, touched = self._monitors[view], set[Circuit]()
        monitor.publish(view.record.reading, touched)
        for circuit in touched:
            circuit.flush()
        return monitor.newest

    def enqueue(self, monitor: Monitor) -> None:
        self._due.append(monitor)
        if not self._scheduled:
            self._scheduled = True
            self.call(self._drain)

    def _drain(self) -> None:
        assert self._loop is not None
        if not self.may_serve():
            self._abort()
        touched: set[Circuit] = set()
        batch = [self._due.popleft() for _ in range(min(BATCH, len(self._due)))]
        for monitor in batch:
            monitor.is_due = False  # before any reading is taken: a change from now on marks it again
        # An image and its size come of one Reading; the size first, so that whoever gets the image knows it.
        batch.sort(key=lambda monitor: monitor.view.record.rank)
        readings: dict[Record, Reading] = {}
        for monitor in batch:
            record = monitor.view.record
            reading = readings.setdefault(record.source, record.source.reading)
            monitor.publish(record.derive(reading), touched)
        for circuit in touched:
            circuit.flush()
        if not self._due and len(batch) >= MANY:
            self._loop.call_later(REST, self._drain)
            return
        self._scheduled = False  # before the queue is looked at: what comes from now on schedules it again
        if self._due and not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self._drain)

    def _begin_beacons(self) -> None:
        if self._beaconing is None:
            self._beaconing = asyncio.get_running_loop().create_task(self._beacons())

    def _shut(self, done: threading.Event) -> None:
        if self._beaconing is not None:
            self._beaconing.cancel()
            self._beaconing = None
        self._abort()
        done.set()

    def _abort(self) -> None:
        for circuit in list(self.circuits):
            circuit.transport.abort()

    def _refresh_rights(self) -> None:
        for circuit in list(self.circuits):
            circuit.refresh_rights()

    def _remove(self, names: frozenset[str]) -> None:
        for circuit in list(self.circuits):
            circuit.disconnect(lambda view: view.record.name in names)
        for name in [name for name, known in self._views.items() if known.record.name in names]:
            del self._views[name]

    def _run(self) -> None:
        asyncio.run(self._serve())

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stopping = asyncio.Event()
        server = await self._loop.create_server(lambda: Circuit(self), sock=self._tcp)
        search, _ = await self._loop.create_datagram_endpoint(lambda: Search(self), sock=self._udp)
        lag = asyncio.create_task(self._measure_lag())
        self._ready.set()
        try:
            await self._stopping.wait()
        finally:
            tasks = [task for task in (lag, self._beaconing) if task is not None]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            server.close()
            search.close()
            self._abort()
            await server.wait_closed()

    async def _beacons(self) -> None:
        """Tell the repeaters that the server is here: clients then search at once, not by their timer."""
        period = BEACON_FIRST
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.setblocking(False)
            sender.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
            number = 0
            while True:
                beacon = ca.Beacon(ca.DEFAULT_PROTOCOL_VERSION, self.port, number, self.bind)
                for address in self._beacon_addresses:
                    with contextlib.suppress(OSError):  # nobody needs to listen
                        sender.sendto(bytes(beacon), address)
                number = (number + 1) % (1 << 32)
                await asyncio.sleep(period)
                period = min(2 * period, BEACON_LAST)

    async def _measure_lag(self) -> None:
        while True:
            due = time.monotonic() + LAG_PERIOD
            await asyncio.sleep(LAG_PERIOD)
            self.lag = time.monotonic() - due


class Search(asyncio.DatagramProtocol):
    """Answers the searches of clients (UDP)."""

    def __init__(self, server: ChannelAccess) -> None:
        self._server = server
        self._broadcaster = ca.Broadcaster(our_role=ca.SERVER)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        try:
            commands = self._broadcaster.recv(data, addr)
            self._broadcaster.process_commands(commands)
        except (ca.CaprotoError, ValueError, LookupError, UnicodeError) as error:
            log.debug("bad search from %s: %s", addr, error)
            return
        version = ca.DEFAULT_PROTOCOL_VERSION
        replies: list[Any] = [
            ca.SearchResponse(port, None, command.cid, version)
            for command in commands
            if isinstance(command, ca.SearchRequest) and (port := self._server.search(command.name))
        ]
        if replies:
            if any(isinstance(command, ca.VersionRequest) for command in commands):
                replies.insert(0, ca.VersionResponse(version))
            self._transport.sendto(self._broadcaster.send(*replies), addr)


def _bound_sockets(bind: str, port: int) -> tuple[socket.socket, socket.socket]:
    """A TCP and a UDP socket on one port, neither shared with anybody.

    A shared UDP port would give some of the searches to the other program, so it is refused as well.
    """
    for _ in range(FREE_PORT_TRIES if port == 0 else 1):
        tcp = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM, socket.IPPROTO_UDP)
        tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # closed connections of a former server linger
        kind, wanted = socket.SOCK_STREAM, port
        try:
            tcp.bind((bind, port))
            tcp.listen(128)
            kind, wanted = socket.SOCK_DGRAM, tcp.getsockname()[1]
            udp.bind((bind, wanted))
        except OSError as error:
            tcp.close()
            udp.close()
            refused = error
            continue
        tcp.setblocking(False)
        udp.setblocking(False)
        return tcp, udp
    protocol = "TCP" if kind == socket.SOCK_STREAM else "UDP"
    text = f"{protocol} port {wanted} on {bind} cannot be had ({refused.strerror})"
    if refused.errno == errno.EADDRINUSE:
        text += f": {port_holder(wanted, kind)} has it; end that, or choose another ca_port"
    raise ConfigurationError("Channel Access", [text]) from refused
