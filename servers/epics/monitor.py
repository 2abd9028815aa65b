"""The subscribers to one Channel Access name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from caproto import SubscriptionType

from servers.epics.circuit import Circuit, Subscription
from servers.epics.fields import View

if TYPE_CHECKING:
    from servers.epics.ca import ChannelAccess

UPDATE = SubscriptionType.DBE_VALUE | SubscriptionType.DBE_LOG


class Monitor:
    """The subscribers to one view."""

    def __init__(self, server: ChannelAccess, view: View) -> None:
        self.view = view
        self.subscriptions: list[Subscription] = []
        self._server = server
        self._pending = False
        self._remember()

    def changed(self) -> None:
        """Called in any thread when the record changed."""
        if self._pending:
            self._server.coalesced += 1
        else:
            self._pending = True
            self._server.enqueue(self)

    def publish(self, touched: set[Circuit]) -> None:
        """Queue the newest value for all who want this kind of change; in the loop."""
        self._pending = False  # before the reading is taken: a change from now on marks it again
        reading = self.view.record.reading
        mask = self._changes()
        self._remember()
        payloads: dict[tuple[int, int], tuple[bytes, int]] = {}
        for subscription in self.subscriptions:
            if subscription.mask & mask:
                key = (int(subscription.data_type), subscription.count)
                if key not in payloads:
                    payloads[key] = self.view.payload(subscription.data_type, subscription.count, reading)
                subscription.circuit.update(subscription, *payloads[key])
                touched.add(subscription.circuit)
                self._server.updates += 1

    def _remember(self) -> None:
        record = self.view.record
        self._reading, self._facts = record.reading, record.facts
        self._field = None if self.view.is_value else self.view.value(record.reading)

    def _changes(self) -> SubscriptionType:
        record, mask = self.view.record, SubscriptionType(0)
        if not self.view.is_value:
            return UPDATE if self.view.value(record.reading) != self._field else mask
        if record.facts is not self._facts:
            mask |= SubscriptionType.DBE_PROPERTY
        if record.reading is not self._reading:
            if record.reading.alarm != self._reading.alarm:
                mask |= SubscriptionType.DBE_ALARM
            if record.reading.value is not self._reading.value or not mask:
                mask |= UPDATE
        return mask
