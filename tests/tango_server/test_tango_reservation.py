"""Reservations and Tango's own locks, between processes."""

from __future__ import annotations

import subprocess
import sys

import pytest
import tango

from devices.core.errors import NotAllowedError
from servers.tango_server.failures import failure
from tests.support.serving import Server, wait_until

OTHER = """
import sys, tango
proxy = tango.DeviceProxy(sys.argv[1])
try:
    exec(sys.argv[2])
    print("done")
except tango.DevFailed as failed:
    print(failed.args[0].reason, failed.args[0].desc)
"""


def elsewhere(server: Server, line: str) -> str:
    """What another process is told."""
    words = [sys.executable, "-c", OTHER, server.address, line]
    return subprocess.run(words, capture_output=True, text=True, timeout=30, check=True).stdout.strip()


def test_a_reserved_device_takes_nothing_from_other_processes(server: Server, proxy: tango.DeviceProxy) -> None:
    proxy.reserve('{"name": "bluesky", "seconds": 60}')
    try:
        assert proxy.reserved_by == "bluesky"
        proxy.a_float64 = 2.5
        server.proxy().a_float64 = 3.5  # another connection of the same process
        refused = elsewhere(server, "proxy.a_float64 = 1.0")
        assert refused.startswith("NotAllowedError a_float64: test/everything/1 is reserved by bluesky until ")
        assert elsewhere(server, "proxy.nothing()").startswith("NotAllowedError nothing: ")
        assert elsewhere(server, "proxy.a_float64").endswith("done"), "everybody reads"
        assert elsewhere(server, "proxy.release('')").startswith("NotAllowedError")
        assert proxy.read_attribute("a_float64").value == 3.5
        assert elsewhere(server, "proxy.release('bluesky')") == "done"
        assert elsewhere(server, "proxy.a_float64 = 1.0") == "done"
    finally:
        proxy.release("")


def test_a_reservation_of_a_process_that_is_gone_ends_after_its_time(server: Server, proxy: tango.DeviceProxy) -> None:
    assert elsewhere(server, """proxy.reserve('{"name": "script", "seconds": 1.5}')""") == "done"
    with pytest.raises(tango.DevFailed, match="reserved by script"):
        proxy.a_float64 = 1.0
    wait_until(lambda: proxy.reserved_by == "")
    proxy.a_float64 = 4.0


def test_the_lock_of_tango_itself_is_a_refusal() -> None:
    try:
        tango.Except.throw_exception("API_DeviceLocked", "Device test is locked by another client", "test")
    except tango.DevFailed as failed:
        assert isinstance(failure(failed), NotAllowedError)
