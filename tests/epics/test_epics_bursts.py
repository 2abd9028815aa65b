"""Values that come faster than the Channel Access loop turns: which of them clients get."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest

from servers.epics.access import Access
from servers.epics.audit import Audit
from servers.epics.ca import ChannelAccess
from servers.epics.gate import Gate
from servers.epics.monitor import WAITING
from servers.epics.records import Kind, Reading, Record
from tests.epics.mirroring import until, until_equal
from tests.epics.raw_client import RawClient

NS = 1_700_000_000_250_000_000  # the time stamp of the readings
CURRENT = Record("CURRENT", Kind.FLOAT64, value=-1.0)
PROFILE = Record("PROFILE", Kind.FLOAT64, rank=1, max_length=8, value=np.full(3, -1.0))


@pytest.fixture
def server() -> Iterator[ChannelAccess]:
    records = {record.name: record for record in (CURRENT, PROFILE)}
    running = ChannelAccess(Gate(Access(), Audit(None)), records.get, port=0)
    running.start()
    running.open()
    try:
        yield running
    finally:
        running.stop()


@contextmanager
def busy(server: ChannelAccess) -> Iterator[None]:
    """The loop of the server turns again at the end of the block only."""
    began, end = threading.Event(), threading.Event()

    def stand_still() -> None:
        began.set()
        end.wait(10.0)

    server.call(stand_still)
    assert began.wait(5.0)
    try:
        yield
    finally:
        end.set()


def values(client: RawClient, count: int) -> list[float]:
    return [float(client.update().data[0]) for _ in range(count)]


def test_every_value_of_a_short_burst_arrives_in_order(server: ChannelAccess) -> None:
    with RawClient(server.port) as client:
        client.subscribe(client.channel("CURRENT"))
        with busy(server):
            for number in range(WAITING):
                CURRENT.publish(Reading(100.5 + number, NS + number))
        assert values(client, WAITING) == [100.5 + number for number in range(WAITING)]
        assert server.coalesced == 0


def test_of_a_long_burst_the_newest_values_arrive(server: ChannelAccess) -> None:
    with RawClient(server.port) as client:
        client.subscribe(client.channel("CURRENT"))
        with busy(server):
            for number in range(1000):
                CURRENT.publish(Reading(float(number), NS + number))
        assert values(client, WAITING) == [float(number) for number in range(1000 - WAITING, 1000)]
        assert server.coalesced == 1000 - WAITING


def test_of_arrays_the_newest_one_arrives(server: ChannelAccess) -> None:
    with RawClient(server.port) as client:
        client.subscribe(client.channel("PROFILE"))
        with busy(server):
            for number in range(10):
                PROFILE.publish(Reading(np.array([number, number + 0.5, 7.0]), NS + number))
        assert client.update().data.tolist() == [9.0, 9.5, 7.0]
        assert server.coalesced == 9


def test_two_threads_at_once_leave_the_newest_value(server: ChannelAccess) -> None:
    with RawClient(server.port) as client:
        client.subscribe(client.channel("CURRENT"))

        def publish(first: int) -> None:
            for number in range(first, 2000, 2):
                CURRENT.publish(Reading(float(number), NS))

        threads = [threading.Thread(target=publish, args=(first,)) for first in (0, 1)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        seen = [-1.0]

        def is_newest() -> bool:
            seen.append(float(client.update().data[0]))
            return seen[-1] == CURRENT.reading.value

        until(is_newest, "the value that the record has")


def publish_five(first: float) -> None:
    for number in range(5):
        CURRENT.publish(Reading(first + number, NS + number))


def values_until(client: RawClient, last: float) -> list[float]:
    seen = [float(client.update().data[0])]
    while seen[-1] != last:
        seen.append(float(client.update().data[0]))
    return seen


def test_who_subscribes_within_a_burst_sees_no_value_go_back(server: ChannelAccess) -> None:
    with RawClient(server.port) as first, RawClient(server.port) as second:
        first.subscribe(first.channel("CURRENT"))
        channel = second.channel("CURRENT")
        with busy(server):
            second.send(channel.subscribe(data_type=None, data_count=0, mask=7))
            server.call(publish_five, 200.5)  # in the loop's next turn, just before it takes that request
        until_equal(lambda: CURRENT.reading.value, 204.5)
        CURRENT.publish(Reading(300.0, NS + 10))
        assert values_until(second, 300.0) == [204.5, 300.0]
        assert values_until(first, 300.0) == [200.5, 201.5, 202.5, 203.5, 204.5, 300.0]
