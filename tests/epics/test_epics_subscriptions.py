from __future__ import annotations

import gc
import weakref
from typing import Any

import pytest

from servers.epics.event_flow import EventFlow
from servers.epics.subscriptions import Subscriptions
from servers.tango_server import retired
from tests.support.serving import wait_until


class Proxy:
    """As much of a Tango proxy as a device without attributes needs."""

    def subscribe_event(self, *_: Any) -> int:
        return 1

    def unsubscribe_event(self, number: int) -> None:
        assert number == 1


def test_a_proxy_stays_as_long_as_tango_may_call_what_was_subscribed_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    made = Subscriptions(lambda *_: None, lambda *_: None, lambda: None, EventFlow())
    first = Proxy()
    alive = weakref.ref(first)
    made.begin(first, [])
    made.begin(Proxy(), [])  # the server was restarted
    del first
    gc.collect()
    assert alive() is not None
    monkeypatch.setattr(retired, "RETIRED_SECONDS", 0.0)
    made.end()
    made.end()
    wait_until(lambda: alive() is None, 10.0, "it has ended")
