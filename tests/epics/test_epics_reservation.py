"""Reservations by clients of the mirror, which are one client to the device."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import pytest
import tango

from servers.epics.configuration import MirroredDevice
from servers.epics.mirror import Mirror
from tests.epics.mirroring import config_of, mirror, until
from tests.epics.raw_client import RawClient
from tests.support.serving import Server, serving


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("server")
    properties = {"pv_prefix": "ALL1:"}
    with serving("tests.support.everything:Everything", "test/everything/1", properties, folder=folder) as running:
        yield running


@pytest.fixture(scope="module")
def mirrored(server: Server) -> Iterator[Mirror]:
    with mirror(config_of((MirroredDevice(server.address),))) as running:
        yield running


@pytest.fixture
def ben(mirrored: Mirror) -> Iterator[RawClient]:
    with RawClient(mirrored.ca.port, user="ben") as client:
        yield client


@pytest.fixture
def device(server: Server) -> Iterator[tango.DeviceProxy]:
    proxy = server.proxy()
    yield proxy
    if proxy.reserved_by:
        proxy.release(proxy.reserved_by)


def reserve(client: RawClient, name: str, seconds: float = 60.0) -> bytes:
    client.put("ALL1:Reserve:Name", name.encode())
    client.put("ALL1:Reserve:Seconds", seconds)
    return told(client, "ALL1:Reserve:Run", 1)


def told(client: RawClient, pv: str, value: object) -> bytes:
    """Why a put is refused; nothing when it is done."""
    answer = client.put(pv, value)
    return bytes(getattr(answer, "error_message", b""))


def test_the_user_who_reserves_writes_by_all_connections_and_others_do_not(
    mirrored: Mirror, channels: RawClient, ben: RawClient, device: tango.DeviceProxy
) -> None:
    assert reserve(channels, "anna's scan") == b""
    until(lambda: channels.read("ALL1:ReservedBy").data.tobytes().rstrip(b"\0") == b"anna's scan", "all see it")
    assert told(channels, "ALL1:AFloat64", 2.5) == b""
    with RawClient(mirrored.ca.port) as second:
        assert told(second, "ALL1:AFloat64", 3.5) == b""
    assert b"NotAllowedError: ALL1:AFloat64: " in told(ben, "ALL1:AFloat64", 1.0)
    assert b"is reserved by anna's scan" in told(ben, "ALL1:AFloat64", 1.0)
    assert b"NotAllowedError" in told(ben, "ALL1:Nothing", 1)
    assert b"is reserved by anna's scan" in reserve(ben, "ben")
    assert told(ben, "ALL1:Abort", b"") == b"", "everybody may stop"
    assert b"NotAllowedError" in told(ben, "ALL1:Release:Run", 1)
    assert device.a_float64 == 3.5
    assert told(ben, "ALL1:Release", b"anna's scan") == b""
    assert told(ben, "ALL1:AFloat64", 1.0) == b""


def test_it_ends_for_clients_of_the_mirror_when_its_time_is_over(channels: RawClient, ben: RawClient) -> None:
    assert reserve(channels, "short", 1.0) == b""
    assert b"reserved by short" in told(ben, "ALL1:AFloat64", 1.0)
    until(lambda: told(ben, "ALL1:AFloat64", 1.0) == b"", "the time is over")


def test_a_device_that_a_tango_client_reserved_takes_nothing_from_the_mirror(
    server: Server, channels: RawClient, ben: RawClient
) -> None:
    # The mirror is in this process: another one reserves.
    line = f"import tango; tango.DeviceProxy({server.address!r}).reserve(" + """'{"name": "script", "seconds": 4}')"""
    subprocess.run([sys.executable, "-c", line], check=True, timeout=30)
    for client in (channels, ben):
        assert b"a_float64: test/everything/1 is reserved by script until" in told(client, "ALL1:AFloat64", 1.0)
    assert b"reserved by script" in reserve(ben, "ben")
    until(lambda: told(ben, "ALL1:AFloat64", 1.0) == b"", "the time is over")
