"""The subscribers to one Channel Access name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from caproto import SubscriptionType

from servers.epics.circuit import Circuit, Subscription
from servers.epics.fields import View
from servers.epics.records import Reading

if TYPE_CHECKING:
    from servers.epics.ca import ChannelAccess

UPDATE = SubscriptionType.DBE_VALUE | SubscriptionType.DBE_LOG


class Monitor:
    """The subscribers to one view."""

    def __init__(self, server: ChannelAccess, view: View) -> None:
        self.view = view
        self.subscriptions: list[Subscription] = []
        self._server = server
        self.is_due = False
        self._remember(view.record.reading)

    def changed(self) -> None:
        """Called in any thread when the record changed."""
        if self.is_due:
            self._server.coalesced += 1
        else:
            self.is_due = True
            self._server.enqueue(self)

    def publish(self, reading: Reading, touched: set[Circuit]) -> None:
        """Queue a value for all who want this kind of change; in the loop."""
        mask = self._changes(reading)
        self._remember(reading)
        payloads: dict[tuple[int, int], tuple[bytes, int]] = {}
        for subscription in self.subscriptions:
            if subscription.mask & mask:
                key = (int(subscription.data_type), subscription.count)
                if key not in payloads:
                    payloads[key] = self.view.payload(subscription.data_type, subscription.count, reading)
                subscription.circuit.update(subscription, *payloads[key])
                touched.add(subscription.circuit)
                self._server.updates += 1

    def _remember(self, reading: Reading) -> None:
        self._reading, self._facts = reading, self.view.record.facts
        self._field = None if self.view.is_value else self.view.value(reading)

    def _changes(self, reading: Reading) -> SubscriptionType:
        mask = SubscriptionType(0)
        if not self.view.is_value:
            return UPDATE if self.view.value(reading) != self._field else mask
        if self.view.record.facts is not self._facts:
            mask |= SubscriptionType.DBE_PROPERTY
        if reading is not self._reading:
            if reading.alarm != self._reading.alarm:
                mask |= SubscriptionType.DBE_ALARM
            if reading.value is not self._reading.value or not mask:
                mask |= UPDATE
        return mask
