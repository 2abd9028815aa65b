"""The link watch: is each Tango device server there, answering within half a second?

Tango itself needs 10 s to notice a kill, and a call to a server that hangs takes 3 to 9 s whatever timeout the proxy
has (measured, cppTango 10.3: it reconnects inside the call). So each server is pinged by a thread of its own, and
one more thread looks at the clock: a ping that is not back in time counts as failed while it is still on its way.

A ping also finds a server that was restarted between two pings (the proxy reconnects and the ping succeeds, but all
subscriptions are gone): it asks for the endpoint of the server's heartbeat, which every process chooses anew.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Any

import tango

from devices.core.errors import DiptychError
from servers.epics.event_connections import EventConnections
from servers.tango_server.failures import failure, is_refused
from servers.tango_server.retired import drop

log = logging.getLogger(__name__)

PING_PERIOD = 1.0  # s
PING_TIMEOUT = 0.5  # s
FAILURES = 2  # pings that fail one after the other before the link counts as lost
LOOK_PERIOD = 0.1  # s between two looks at the clock


class ServerLink(threading.Thread):
    """The link to one device server.

    Args:
        name: for the log and the thread.
        admin: finds the full name of its admin device, which is pinged.
        on_up: called in this thread when the server answers for the first time, or again.
        on_down: called with the reason when it is lost; must return at once.
        leave: called in this thread when events no longer arrive: ends all subscriptions to this server.

    Attributes:
        losses: how often it was lost; a restart between two pings counts.
        up_since: s of the monotonic clock.
        process: tells the process that answered last from the next; "" where it does not say.
    """

    def __init__(
        self,
        name: str,
        admin: Callable[[], str],
        connections: EventConnections,
        *,
        on_up: Callable[[], None],
        on_down: Callable[[str], None],
        leave: Callable[[], None],
    ) -> None:
        super().__init__(name=f"epics-link {name}", daemon=True)
        self.server = name
        self.is_up = False
        self.reason = "not reached yet"
        self.losses = 0
        self.up_since = 0.0
        self._admin = admin
        self._connections = connections
        self._on_up, self._on_down, self._leave = on_up, on_down, leave
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._started_at: float | None = None
        self._counted = 0
        self._failures = 0
        self.process = ""
        self._had_events = False

    def run(self) -> None:
        with tango.EnsureOmniThread():
            proxy: Any = None
            while not self._stopping.is_set():
                begun = time.monotonic()
                self._started_at, self._counted = begun, 0
                try:
                    if proxy is None:  # after a failure a proxy refuses to try again for a second
                        proxy = tango.DeviceProxy(self._admin())
                        proxy.set_timeout_millis(int(1000 * PING_TIMEOUT))
                    process, events = _ping(proxy)
                except (tango.DevFailed, DiptychError, TypeError, LookupError) as failed:
                    drop(proxy)
                    proxy = None
                    self._failed(failed)
                else:
                    self._answered(process)
                    self._check_events(events)
                finally:
                    self._started_at = None
                self._stopping.wait(max(0.0, begun + PING_PERIOD - time.monotonic()))

    def stop(self) -> None:
        """Ask the thread to end; it may take as long as a Tango call that is under way."""
        self._stopping.set()

    def look(self, now: float) -> None:
        """Count a ping that is overdue as failed, a second time after another period."""
        started = self._started_at
        if started is None:
            return
        overdue = int(now - started > PING_TIMEOUT) + int(now - started > PING_TIMEOUT + PING_PERIOD)
        if overdue > self._counted:
            self._counted = overdue
            self._fail(f"no answer within {PING_TIMEOUT} s")

    def _answered(self, process: str) -> None:
        with self._lock:
            self._failures = 0
            if not self.is_up:
                self.up_since = time.monotonic()
            was_up, self.is_up, self.reason = self.is_up, True, ""
            restarted, self.process = was_up and process != self.process, process
            self.losses += restarted
        if restarted and not self._stopping.is_set():
            log.warning("server %s was restarted", self.server)
            self._had_events = False  # those of the former process went with it
            self._on_down("the server was restarted")
            self._on_up()
        if not was_up and not self._stopping.is_set():
            log.info("server %s answers", self.server)
            self._on_up()

    def _check_events(self, endpoint: str) -> None:
        """Make all subscriptions anew when the connection for events has gone: Tango never makes another one."""
        had_events, self._had_events = self._had_events, bool(endpoint) and self._connections.has(endpoint)
        if not had_events or self._had_events or not self.is_up or self._stopping.is_set():
            return
        log.warning("server %s: the connection for events was lost", self.server)
        with self._lock:
            # Tango connects once more only after the last subscription to a server has ended: nobody begins meanwhile.
            self.is_up, self.reason = False, "the connection for events was lost"
            self.losses += 1
        self._on_down(self.reason)
        self._leave()
        with self._lock:
            self.is_up, self.reason = True, ""
        self._on_up()

    def _failed(self, failed: Exception) -> None:
        if self._counted:
            return  # this ping was counted while it was overdue
        if not isinstance(failed, tango.DevFailed):
            self._fail(str(failed))
            return
        if is_refused(failed):
            self._failures = FAILURES  # nobody is there
        self._fail(str(failure(failed)))

    def _fail(self, reason: str) -> None:
        with self._lock:
            self._failures += 1
            if self._failures < FAILURES or (not self.is_up and self.reason == reason):
                return
            was_up, self.is_up, self.reason = self.is_up, False, reason
            self.losses += was_up
        if was_up and not self._stopping.is_set():
            log.warning("server %s is lost: %s", self.server, reason)
        if not self._stopping.is_set():
            self._on_down(reason)


def _ping(admin: Any) -> tuple[str, str]:
    """Ping; returns what tells one process of a server from the next, and where its events come from ("" unknown)."""
    try:
        answer = admin.command_inout("ZmqEventSubscriptionChange", ["info"])
    except tango.DevFailed as failed:
        if failed.args[0].reason != "API_CommandNotFound":
            raise
        admin.ping()  # a server from before Tango 8 has no such events
        return "", ""
    heartbeats, events = (
        [text for text in answer[1] if text.startswith(f"{kind}: ")] for kind in ("Heartbeat", "Event")
    )
    return " ".join(heartbeats), events[0].partition(" ")[2] if len(events) == 1 else ""


class LinkWatch(threading.Thread):
    """Looks at the clock for all who ask for it, every 0.1 s.

    Attributes:
        connections: what all links look at.
    """

    def __init__(self) -> None:
        super().__init__(name="epics-linkwatch", daemon=True)
        self.connections = EventConnections()
        self._looks: tuple[Callable[[float], None], ...] = ()
        self._stopping = threading.Event()

    def run(self) -> None:
        while not self._stopping.wait(LOOK_PERIOD):
            now = time.monotonic()
            for look in self._looks:
                look(now)

    def add(self, look: Callable[[float], None]) -> None:
        """Have ``look`` called with the time, s of the monotonic clock; it must return at once."""
        self._looks = (*self._looks, look)

    def remove(self, look: Callable[[float], None]) -> None:
        self._looks = tuple(other for other in self._looks if other != look)

    def stop(self) -> None:
        self._stopping.set()
        if self.is_alive():
            self.join()
