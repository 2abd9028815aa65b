"""What PVs show, for the alarms: one PVAccess subscription each.

PVAccess calls back in its own threads and only leaves a note; values are taken from the queues a few times a second.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any, Final, NamedTuple

from p4p import Value
from p4p.client.raw import Context, Disconnected

from servers.alarms.formula import Seen

log = logging.getLogger(__name__)

#: Two steps of a severity may come at once: raised and gone again is to be seen.
REQUEST: Final = "field(value,alarm,timeStamp,display.units)record[queueSize=8]"
#: Of an array only the alarm.
ARRAY_REQUEST: Final = "field(alarm,timeStamp)record[queueSize=8]"
NO_VALUE: Final = float("nan")
LINK_STATUS: Final = 2  # alarm.status "driver": the mirror lost the device
UNDEFINED_STATUS: Final = 6  # it has not been read yet, as while everything starts


class News(NamedTuple):
    """Something came of a PV; ``text`` says how it is, with the unit."""

    pv: str
    seen: Seen
    text: str


class _Subscription:
    def __init__(self, pv: str) -> None:
        self.pv = pv
        self.monitor: Any = None
        self.value: float | str = NO_VALUE
        self.labels: tuple[str, ...] | None = None
        self.unit = ""


class Watch:
    """Follows PVs; :meth:`take` may run beside the other methods, which are for one thread at a time.

    Args:
        configuration: of the PVAccess client, ``EPICS_PVA_...``.
    """

    def __init__(self, configuration: Mapping[str, str]) -> None:
        self._context = Context("pva", conf=dict(configuration), useenv=False, nt=False)
        self._subscriptions: dict[str, _Subscription] = {}
        self._lock = threading.Lock()
        self._noted: set[_Subscription] = set()

    def follow(self, pvs: Iterable[str], arrays: Iterable[str] = ()) -> None:
        """Follow these and no others."""
        wanted = dict.fromkeys(pvs, REQUEST) | dict.fromkeys(arrays, ARRAY_REQUEST)
        for pv in [each for each in self._subscriptions if each not in wanted]:
            self._subscriptions.pop(pv).monitor.close()
        for pv, request in wanted.items():
            if pv not in self._subscriptions:
                new = self._subscriptions[pv] = _Subscription(pv)
                new.monitor = self._context.monitor(pv, partial(self._note, new), request=request)

    def take(self) -> list[News]:
        """What came since the last call."""
        with self._lock:
            noted, self._noted = self._noted, set()
        news = []
        for subscription in noted:
            if self._subscriptions.get(subscription.pv) is not subscription:
                continue
            if subscription.monitor is None:  # it called back before it was all made
                self._note(subscription)
                continue
            while (update := subscription.monitor.pop()) is not None:
                if isinstance(update, Value):
                    found = _news(subscription, update)
                    if update.alarm.status != UNDEFINED_STATUS:  # what was not read yet says nothing
                        news.append(found)
                elif isinstance(update, Disconnected):
                    lost = Seen(subscription.value, is_connected=False)
                    news.append(News(subscription.pv, lost, "the PV is not served"))
                else:
                    log.warning("%s: %s", subscription.pv, update)
        return news

    def close(self) -> None:
        for subscription in self._subscriptions.values():
            subscription.monitor.close()
        self._subscriptions.clear()
        self._context.close()

    def _note(self, subscription: _Subscription) -> None:
        """Something came; in a thread of PVAccess."""
        with self._lock:
            self._noted.add(subscription)


def _news(subscription: _Subscription, update: Value) -> News:
    alarm = update.alarm
    label = None
    if update.has("value"):
        value = update.value
        if isinstance(value, Value):  # an enumeration
            if subscription.labels is None or update.changed("value.choices"):
                subscription.labels = tuple(value.choices)
            subscription.value = index = value.index
            label = subscription.labels[index] if index < len(subscription.labels) else str(index)
        elif isinstance(value, bool):  # as Channel Access and panels show it
            subscription.value, label = float(value), "On" if value else "Off"
        else:
            subscription.value = (
                value if isinstance(value, str) else float(value) if isinstance(value, int | float) else NO_VALUE
            )
            if update.changed("display.units"):
                subscription.unit = update.display.units
    severity = min(alarm.severity, 3)
    is_connected = not (severity == 3 and alarm.status == LINK_STATUS)
    return News(
        subscription.pv,
        Seen(subscription.value, label, severity, is_connected),
        _text(subscription, label, alarm.message if severity else ""),
    )


def _text(subscription: _Subscription, label: str | None, message: str) -> str:
    shown = label
    if shown is None:
        value = subscription.value
        shown = value if isinstance(value, str) else "" if value != value else f"{value:.6g}"
    if subscription.unit and shown:
        shown = f"{shown} {subscription.unit}"
    return f"{shown}: {message}" if shown and message else shown or message
