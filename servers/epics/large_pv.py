"""Images and other large arrays as PVAccess serves them: one value for all clients, a PV for each.

p4p queues for every client on its own, without a bound in bytes, and does not say how much waits. So each client gets
a SharedPV of its own, which is handed a value only when the client has room for it (``PeerConnection``). The newest few
values wait for it until then; all clients wait for the same ones, so they need memory once. A client that does not read
misses values, never the last one, and disturbs nobody.
"""

from __future__ import annotations

import threading
from collections import deque
from typing import TYPE_CHECKING

from p4p import Value
from p4p.server.raw import SharedPV

from servers.epics.normative import normative_value
from servers.epics.peer_connection import PeerConnection
from servers.epics.pv import Pv
from servers.epics.records import Record

if TYPE_CHECKING:
    from servers.epics.pva import PvAccess

WAITING, WAITING_BYTES = 32, 64 << 20  # values of a record that wait for a client at most, at least one


class Frame:
    """A Reading of a record, as it is sent; converted once, whoever gets it.

    Attributes:
        order: the number of this change of the record.
        number: of the value, since the start; the same when only the alarm or the facts changed.
        source: the Reading that the device gave.
        taken_ns: when the value was taken; the Reading's own time is that of its alarm, too.
    """

    def __init__(self, record: Record, former: Frame | None = None) -> None:
        self._record = record
        self._value: Value | None = None
        self.source, self.facts = record.source.reading, record.facts
        self.order = self.number = 0
        self.taken_ns = self.source.timestamp_ns
        if former is not None:
            self.order, self.number = former.order + 1, former.number + 1
            if former.source.value is self.source.value:
                self.number, self.taken_ns = former.number, former.taken_ns

    @property
    def size(self) -> int:
        """Bytes of the value."""
        return int(self._record.derive(self.source).value.nbytes)

    def value(self) -> Value:
        """All of it, with the facts."""
        if self._value is None:
            self._value = self._converted(with_value=True)
        return self._value

    def alarm(self) -> Value:
        """Time and alarm alone."""
        return self._converted(with_value=False)

    def _converted(self, *, with_value: bool) -> Value:
        return normative_value(
            self._record, self._record.derive(self.source), with_facts=with_value, with_value=with_value,
            number=self.number, data_timestamp_ns=self.taken_ns,
        )  # fmt: skip


class LargeRecord:
    """A record with large values, for all its clients.

    Every value that the device gives has a number, also those that nobody gets: a gap tells a client what it missed.
    """

    def __init__(self, server: PvAccess, record: Record) -> None:
        self.record = record
        self.clients: tuple[LargePv, ...] = ()
        self.newest = Frame(record)
        largest = record.max_length * record.kind.dtype.itemsize
        self.waiting = max(1, min(WAITING, WAITING_BYTES // largest))
        self._server = server
        self._pending = False
        self._lock = threading.Lock()
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

    def changed(self) -> None:
        """Called in any thread when the record changed."""
        with self._lock:  # two threads would give two changes one number
            self.newest = Frame(self.record, self.newest)
            for pv in self.clients:
                pv.take(self.newest)
        if self.clients and not self._pending:
            self._pending = True
            self._server.enqueue(self._offer)

    def close(self) -> None:
        """Serve it no more; its clients are disconnected."""
        self.record.unlisten(self.changed)
        for pv in self.clients:
            pv.silence()
            pv.shared.close(destroy=True)

    def _offer(self) -> None:
        self._pending = False  # before anything is posted: a change from now on marks it again
        for pv in self.clients:
            pv.offer()


class LargePv(Pv):
    """One client's PV of a large record."""

    def __init__(self, server: PvAccess, large: LargeRecord, connection: PeerConnection) -> None:
        super().__init__(server, large.record)
        self._large, self._connection = large, connection
        self._frames: deque[Frame] = deque(maxlen=large.waiting)
        self._shown = -1, -1, large.record.facts  # order, number; no frame, which would be kept
        self._is_late = False

    def take(self, frame: Frame) -> None:
        """Have a frame posted when the client has room for it; the oldest one that waits gives way."""
        self._server.coalesced += len(self._frames) == self._frames.maxlen
        self._frames.append(frame)

    def offer(self) -> None:
        """Something is new; in the posting thread."""
        if not self._is_late:
            self.post()

    def post(self) -> None:
        """Post what the client does not have, or try again soon when it has no room; in the posting thread."""
        self._is_late = False
        while self._frames and self.connected:
            if not self._connection.has_room(self._frames[0].size):
                self._is_late = True
                self._server.enqueue_later(self.post)
                return
            self._post_frame(self._frames.popleft())

    def _post_frame(self, frame: Frame) -> None:
        order, number, facts = self._shown
        if frame.order <= order:
            return
        if frame.number == number and frame.facts is facts:
            self.shared.post(frame.alarm())
        else:
            self._connection.posted(frame.size)
            self.shared.post(frame.value())
        self._shown = frame.order, frame.number, frame.facts
        self._server.updates += 1

    def silence(self) -> None:
        self.connected = False

    def onFirstConnect(self, _: SharedPV) -> None:
        frame = self._large.newest
        self.shared.open(frame.value())
        self._connection.posted(frame.size)
        self._shown = frame.order, frame.number, frame.facts
        self.connected = True
        self._server.enqueue(self.offer)

    def onLastDisconnect(self, _: SharedPV) -> None:
        self.silence()
        self._frames.clear()
        # Not here: p4p still holds what would be destroyed.
        self._server.enqueue(lambda: self._large.drop(self))
