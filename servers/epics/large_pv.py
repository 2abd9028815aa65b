"""Images and other large arrays as PVAccess serves them: one value for all clients, a PV for each.

p4p queues for every client on its own, without a bound in bytes, and does not say how much waits. So each client gets
a SharedPV of its own, which is handed the newest value only when the client has room for it (``PeerConnection``). One
that does not read misses values, never the last one, and disturbs nobody.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, NamedTuple

from p4p import Value
from p4p.server.raw import SharedPV

from servers.epics.normative import normative_value
from servers.epics.peer_connection import PeerConnection
from servers.epics.pv import Pv
from servers.epics.records import Facts, Reading, Record

if TYPE_CHECKING:
    from servers.epics.pva import PvAccess


class Frame(NamedTuple):
    """What the device gave last, its number since the start, and when it was taken."""

    value: object
    number: int
    timestamp_ns: int


class LargeRecord:
    """A record with large values, for all its clients.

    Every value that the device gives has a number, also those that nobody gets: a gap tells a client what it missed.
    """

    def __init__(self, server: PvAccess, record: Record) -> None:
        self.record = record
        self.clients: tuple[LargePv, ...] = ()
        self._server = server
        self._pending = False
        self._lock = threading.Lock()
        self._converted: tuple[Reading, Facts, Value] | None = None
        source = record.source.reading
        self._frame = Frame(source.value, 0, source.timestamp_ns)
        record.listen(self.changed)

    def new_client(self, peer: str) -> LargePv:
        """The PV for one more client."""
        pv = LargePv(self._server, self, self._server.connection(peer))
        with self._lock:
            self.clients += (pv,)
        return pv

    def drop(self, pv: LargePv) -> None:
        """Forget a client that has gone."""
        with self._lock:
            self.clients = tuple(client for client in self.clients if client is not pv)
            if not self.clients:
                self._converted = None

    def changed(self) -> None:
        """Called in any thread when the record changed."""
        source = self.record.source.reading
        if source.value is not self._frame.value:
            self._frame = Frame(source.value, self._frame.number + 1, source.timestamp_ns)
        if self._pending:
            self._server.coalesced += 1
        elif self.clients:
            self._pending = True
            self._server.enqueue(self._offer)

    def value(self, reading: Reading, facts: Facts) -> Value:
        """A Reading with its value; converted once, whoever gets it."""
        with self._lock:
            if self._converted is None or self._converted[0] is not reading or self._converted[1] is not facts:
                frame = self._frame
                value = normative_value(
                    self.record, reading, with_facts=True, number=frame.number, data_timestamp_ns=frame.timestamp_ns
                )
                self._converted = reading, facts, value
            return self._converted[2]

    def close(self) -> None:
        """Serve it no more; its clients are disconnected."""
        self.record.unlisten(self.changed)
        for pv in self.clients:
            pv.silence()
            pv.shared.close(destroy=True)

    def _offer(self) -> None:
        self._pending = False  # before the reading is taken: a change from now on marks it again
        for pv in self.clients:
            pv.offer()


class LargePv(Pv):
    """One client's PV of a large record."""

    def __init__(self, server: PvAccess, large: LargeRecord, connection: PeerConnection) -> None:
        super().__init__(server, large.record)
        self._large, self._connection = large, connection
        self._shown: tuple[Reading, Facts] | None = None
        self._is_late = False

    def offer(self) -> None:
        """Something is new; in the posting thread."""
        if self._is_late:
            self._server.coalesced += 1  # it will get this one instead
        elif self.connected:
            self.post()

    def post(self) -> None:
        """Post what the client does not have, or try again soon when it has no room; in the posting thread."""
        self._is_late = False
        reading, facts = self.record.reading, self.record.facts
        if not self.connected or self._shown is None:
            return
        shown, shown_facts = self._shown
        if reading is shown and facts is shown_facts:
            return
        if reading.value is shown.value and facts is shown_facts:
            value, size = normative_value(self.record, reading, with_facts=False, with_value=False), 0
        elif self._connection.has_room(reading.value.nbytes):
            value, size = self._large.value(reading, facts), reading.value.nbytes
        else:
            self._is_late = True
            self._server.enqueue_later(self.post)
            return
        self._connection.posted(size)
        self.shared.post(value)
        self._shown = reading, facts
        self._server.updates += 1

    def silence(self) -> None:
        self.connected = False

    def onFirstConnect(self, _: SharedPV) -> None:
        reading, facts = self.record.reading, self.record.facts
        self.shared.open(self._large.value(reading, facts))
        self._connection.posted(reading.value.nbytes)
        self._shown = reading, facts
        self.connected = True
        if self.record.reading is not reading:
            self._server.enqueue(self.offer)

    def onLastDisconnect(self, _: SharedPV) -> None:
        self.silence()
        # Not here: p4p still holds what would be destroyed.
        self._server.enqueue(lambda: self._large.drop(self))
