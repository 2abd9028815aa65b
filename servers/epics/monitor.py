"""The subscribers to one Channel Access name."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from caproto import SubscriptionType

from servers.epics.circuit import Circuit, Subscription
from servers.epics.fields import View
from servers.epics.records import Reading

if TYPE_CHECKING:
    from servers.epics.ca import ChannelAccess

# Plain numbers: flags are ten times as slow, and this is done for each update.
VALUE, UPDATE = int(SubscriptionType.DBE_VALUE), int(SubscriptionType.DBE_VALUE | SubscriptionType.DBE_LOG)
ALARM, PROPERTY = int(SubscriptionType.DBE_ALARM), int(SubscriptionType.DBE_PROPERTY)
WAITING = 16  # values of a scalar that wait for the loop; then the oldest is skipped


class Monitor:
    """The subscribers to one view.

    Attributes:
        is_due: it is in the server's queue.
        newest: the reading that was published last; all that come later are newer.
    """

    def __init__(self, server: ChannelAccess, view: View) -> None:
        self.view = view
        self.subscriptions: list[Subscription] = []
        self.is_due = False
        self.newest = view.record.reading
        self._server = server
        record = view.record
        is_plain = view.is_value and record.rank == 0 and record.source is record
        # Of an array, and of what is derived from another record, the newest is wanted when the loop gets to it.
        self._waiting: deque[Reading] | None = deque(maxlen=WAITING) if is_plain else None
        self._sent = self._logged = self.newest
        self._remember(self.newest)

    def changed(self) -> None:
        """Called in any thread when the record changed."""
        if self._waiting is not None:
            self._server.coalesced += len(self._waiting) == WAITING
            self._waiting.append(self.view.record.reading)
        elif self.is_due:
            self._server.coalesced += 1
        if not self.is_due:
            self.is_due = True
            self._server.enqueue(self)

    def publish(self, newest: Reading, touched: set[Circuit]) -> None:
        """Queue what waits for all who want this kind of change; in the loop.

        Args:
            newest: the reading of the record, where only that one is wanted.
        """
        while self._waiting is not None:
            newest = self.view.record.reading  # before the look at what waits: what comes meanwhile is newer
            if not self._waiting:
                break
            self._publish(self._waiting.popleft(), touched)
        self.newest = newest
        self._publish(newest, touched)

    def _publish(self, reading: Reading, touched: set[Circuit]) -> None:
        mask = self._changes(reading)
        if not mask:
            return
        self._remember(reading)
        payloads: dict[tuple[int, int], tuple[bytes, int]] = {}
        for subscription in self.subscriptions:
            if subscription.mask & mask:
                key = subscription.data_type, subscription.count
                if key not in payloads:
                    payloads[key] = self.view.payload(*key, reading)
                subscription.circuit.update(subscription, *payloads[key])
                touched.add(subscription.circuit)
                self._server.updates += 1

    def _remember(self, reading: Reading) -> None:
        self._reading, self._facts = reading, self.view.record.facts
        self._field = None if self.view.is_value else self.view.value(reading)

    def _changes(self, reading: Reading) -> int:
        """What kinds of change, as a mask of DBE flags, since the reading that was published last."""
        if not self.view.is_value:
            return UPDATE if self.view.value(reading) != self._field else 0
        mask, former = 0, self._reading
        if self.view.record.facts is not self._facts:
            mask = PROPERTY
        if reading is not former:
            if reading.alarm is not former.alarm and reading.alarm != former.alarm:
                mask |= ALARM
            if reading.value is not former.value or not mask:
                mask |= self._update(reading)
        return mask

    def _update(self, reading: Reading) -> int:
        """DBE_VALUE, unless a filter holds it back, and DBE_LOG beyond the dead-band of archives (ADEL)."""
        if not self.view.passes(self._sent, reading):
            return 0
        self._sent = reading
        value, deadband = reading.value, self.view.record.facts.archive_deadband
        if deadband and isinstance(value, int | float) and abs(value - self._logged.value) <= deadband:
            return VALUE
        self._logged = reading
        return UPDATE
