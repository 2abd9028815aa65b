"""Events of devices on their way into the mirror: connections that break, and how Tango calls back."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import time
import traceback
from collections.abc import Iterator

import pytest
import tango

from servers.epics import event_connections, subscriptions
from tests.epics.mirroring import TangoServer, config_for, mirror, tango_server, until


@pytest.fixture
def server() -> Iterator[TangoServer]:
    with tango_server() as running:
        yield running


def _event_port(server: TangoServer) -> int:
    """The port from which a server's events come, as it tells its clients."""
    admin = tango.DeviceProxy(server.proxy(server.plain).adm_name())
    endpoints = admin.command_inout("ZmqEventSubscriptionChange", ["info"])[1]
    return int(next(each for each in endpoints if each.startswith("Event")).rpartition(":")[2])


def _cut(port: int) -> int:
    """Shut down what this process has connected to a port; how many that were."""
    count = 0
    for text in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):
            if os.readlink(f"/proc/self/fd/{text}").startswith("socket:"):
                with socket.socket(fileno=os.dup(int(text))) as ours:
                    if ours.family == socket.AF_INET and ours.getpeername()[1] == port:
                        ours.shutdown(socket.SHUT_RDWR)
                        count += 1
    return count


def test_events_come_again_after_their_connection_broke(
    server: TangoServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(event_connections, "PERIOD", 0.5)
    with mirror(config_for(server)) as mirrored:
        plain = server.proxy(server.plain)
        port = _event_port(server)

        def comes(kelvin: float) -> bool:
            """Whether an event with this value is counted within half a second."""
            before = mirrored.counters.events
            plain.command_inout("Publish", json.dumps({"value": kelvin, "time": time.time()}))
            with contextlib.suppress(AssertionError):
                return bool(until(lambda: mirrored.counters.events > before, seconds=0.5))
            return False

        until(lambda: comes(91.5), "the first subscriptions are made", 15.0)
        until(lambda: mirrored._watch.connections.has(f"tcp://127.0.0.1:{port}"), "the connection is seen")
        time.sleep(1.1)  # a ping, which knows of the connection now
        assert _cut(port) == 1
        until(lambda: "the connection for events was lost" in caplog.text, "the loss is seen", 20.0)
        until(lambda: comes(93.75), "events come again, which Tango alone never manages", 20.0)
        until(lambda: mirrored._pvs._records["PLAIN1:Temperature"].reading.value == 93.75, "the value is shown")


def test_an_event_reaches_the_mirror_without_a_detour_through_pytango(server: TangoServer) -> None:
    # PyTango wraps a callback anew at every event: 40 us. If this fails with a new PyTango, see _call_directly.
    with mirror(config_for(server)) as mirrored:
        stacks: list[list[str]] = []
        mirrored._pvs._records["PLAIN1:Temperature"].listen(
            lambda: stacks.append([frame.filename for frame in traceback.extract_stack()])
        )
        plain = server.proxy(server.plain)

        def of_events() -> list[list[str]]:
            plain.command_inout("Publish", json.dumps({"value": 80.5, "time": time.time()}))
            return [stack for stack in stacks if any(file == subscriptions.__file__ for file in stack)]

        until(lambda: len(of_events()) > 1, "events", 15.0)
        library = os.path.dirname(tango.__file__)
        assert not [file for file in of_events()[-1] if file.startswith(library)]
