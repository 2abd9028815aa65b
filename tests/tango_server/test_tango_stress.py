"""Pushes and reads of the same text, spectrum and image at the same time: the race that ends other servers."""

from __future__ import annotations

import multiprocessing
import os
import queue
import signal
import time
from multiprocessing.queues import Queue
from pathlib import Path

import pytest
import tango

from tests.support.serving import serving, wait_until

SECONDS = 20.0


def read_all(address: str, seconds: float, results: Queue[tuple[int, str]]) -> None:
    """Read everything until the time is over; tell how often, and what was torn."""
    proxy = tango.DeviceProxy(address)
    events: list[int] = []
    proxy.subscribe_event("text", tango.EventType.CHANGE_EVENT, lambda event: events.append(1))
    proxy.subscribe_event("image", tango.EventType.CHANGE_EVENT, lambda event: events.append(1))
    reads, torn = 0, ""
    end = time.monotonic() + seconds
    try:
        reads, torn = _read_until(end, proxy)
    except tango.DevFailed as error:
        torn = str(error)
    results.put((reads if events else 0, torn))


def _read_until(end: float, proxy: tango.DeviceProxy) -> tuple[int, str]:
    reads, torn = 0, ""
    while time.monotonic() < end and not torn:
        text = proxy.read_attribute("text").value
        if text and len(set(text)) != 1:
            torn = f"text {text!r}"
        for name in ("spectrum", "image"):
            value = proxy.read_attribute(name).value
            if value is not None and value.size and value.min() != value.max():
                torn = f"{name}: {value.min()} and {value.max()}"
        reads += 3
    return reads, torn


@pytest.mark.long
@pytest.mark.timeout(90)
def test_pushes_and_reads_at_once_leave_the_server_alive_and_no_value_torn(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    with serving("tests.support.stress:Stress", "test/stress/1", folder=tmp_path) as server:
        proxy = server.proxy()
        proxy.publish_all(SECONDS)
        wait_until(lambda: (proxy.published or 0) > 10, 5.0, "it publishes")
        results: Queue[tuple[int, str]] = context.Queue()
        readers = [context.Process(target=read_all, args=(server.address, SECONDS - 2.0, results)) for _ in range(3)]
        for reader in readers:
            reader.start()
        try:
            for _ in readers:
                reads, torn = results.get(timeout=SECONDS + 30.0)
                assert torn == ""
                assert reads > 100, "and it was read all the time, with events"
        except queue.Empty:
            pytest.fail("a reading process hung or died")
        finally:
            for reader in readers:
                reader.join(5.0)
                if reader.is_alive():
                    reader.kill()
        assert server.process.poll() is None, server.log.read_text()
        wait_until(lambda: proxy.operation == "", 10.0)
        assert proxy.published > 1000


def subscribe_and_wait(address: str, ready: Queue[int]) -> None:
    """Subscribe to the image and stay."""
    proxy = tango.DeviceProxy(address)
    proxy.subscribe_event("image", tango.EventType.CHANGE_EVENT, lambda event: None)
    ready.put(1)
    time.sleep(600.0)


@pytest.mark.long
def test_a_client_that_stops_reading_does_not_stop_the_server(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    with serving("tests.support.stress:Stress", "test/stress/1", folder=tmp_path) as server:
        proxy = server.proxy()
        ready: Queue[int] = context.Queue()
        client = context.Process(target=subscribe_and_wait, args=(server.address, ready))
        client.start()
        try:
            ready.get(timeout=20.0)
            os.kill(client.pid or 0, signal.SIGSTOP)
            proxy.publish_all(8.0)
            end = time.monotonic() + 8.0
            slowest = 0.0
            while time.monotonic() < end:
                began = time.monotonic()
                proxy.read_attribute("published")
                slowest = max(slowest, time.monotonic() - began)
            assert slowest < 2.8, "no client runs into its time-out of 3 s"
            assert proxy.published > 1000
        finally:
            client.kill()
            client.join()
