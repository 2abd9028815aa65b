"""The mirror that serves is killed: the other one takes over, and the monitors of all clients go on."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from tests.clients.process import ClientProcess
from tests.clients.test_clients_reconnect import CLIENTS
from tests.facility.running import wait_for
from tests.failover.conftest import STANDBY, Pair

pytestmark = [pytest.mark.long, pytest.mark.timeout(300)]


@pytest.fixture
def processes(pair: Pair) -> Iterator[dict[str, ClientProcess]]:
    running = {name: ClientProcess(pair.environment) for name in CLIENTS}
    yield running
    for process in running.values():
        process.close()


def test_monitors_go_on_when_the_mirror_that_serves_is_killed(
    pair: Pair, processes: dict[str, ClientProcess], capsys: pytest.CaptureFixture[str]
) -> None:
    first = pair.holder()
    second = 3 - first
    pair.publish("fast", 1.5)
    for name, client in CLIENTS.items():
        processes[name](client.watch)
    for name, client in CLIENTS.items():
        wait_for(lambda n=name, c=client: 1.5 in processes[n](c.heard), 40.0, f"{name} hears the first value")

    pair.kill(first)
    killed = time.monotonic()
    pair.publish("fast", 2.5)
    took: dict[str, float] = {}
    while len(took) < len(CLIENTS):
        for name, client in CLIENTS.items():
            if name not in took and 2.5 in processes[name](client.heard):
                took[name] = time.monotonic() - killed
        assert time.monotonic() < killed + 60.0, f"connected again: {took}"
        time.sleep(0.02)
    with capsys.disabled():
        print("\nheard again after", ", ".join(f"{name} {seconds:.1f} s" for name, seconds in took.items()))
    for name, client in CLIENTS.items():
        told = processes[name](client.heard)
        assert "gone" in told[told.index(1.5) : told.index(2.5)]

    # The facility has started the first one again meanwhile, or will: it stands by, and nothing changes for clients.
    assert pair.holder() == second
    assert pair.role(first) == STANDBY
    for value in (3.5, 4.5, 5.5):
        pair.publish("fast", value)
        for name, client in CLIENTS.items():
            wait_for(lambda n=name, c=client, v=value: v in processes[n](c.heard), 20.0, f"{name} hears {value}")
            told = processes[name](client.heard)
            assert "gone" not in told[told.index(2.5) :], "clients stay connected"
    assert pair.holder() == second
