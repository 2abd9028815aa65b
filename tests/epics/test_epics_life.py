"""Servers that die, hang and come back; mirrors that start, reload, clash and stop."""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace

import caproto as ca
import pytest
from caproto import AccessRights, ChannelType
from p4p.client.thread import Context

from devices.core.errors import ConfigurationError
from servers.epics.access import Rule
from servers.epics.alarm import Severity, Status
from servers.epics.configuration import MirrorConfig, MirroredDevice
from servers.epics.mirror import Mirror
from tests.epics.mirroring import TangoServer, config_for, free_port, mirror, pva_conf, tango_server, until
from tests.epics.raw_client import RawClient


@pytest.fixture
def server() -> Iterator[TangoServer]:
    with tango_server() as running:
        yield running


def _alarm_of(client: RawClient, pv: str) -> Callable[[], tuple[int, int]]:
    channel = client.channel(pv)

    def alarm() -> tuple[int, int]:
        found = client.read(channel, ChannelType.STS_DOUBLE).metadata
        return int(found.severity), int(found.status)

    return alarm


LINK, GOOD = (Severity.INVALID, Status.LINK), (Severity.NO_ALARM, Status.NO_ALARM)


def test_a_killed_server_is_noticed_and_good_again_after_its_restart(server: TangoServer) -> None:
    with mirror(config_for(server)) as mirrored, RawClient(mirrored.ca.port) as client:
        pva = Context("pva", conf=pva_conf(mirrored), useenv=False, nt=False)
        alarm, setpoint = _alarm_of(client, "PLAIN1:Temperature"), _alarm_of(client, "PLAIN1:Setpoint")
        before = client.read("PLAIN1:Temperature", ChannelType.TIME_DOUBLE)
        for _ in range(2):
            assert alarm() == GOOD
            server.kill()
            until(lambda: alarm() == LINK, "INVALID/LINK", 3.0)
            assert setpoint() == LINK
            until(lambda: pva.get("PLAIN1:Temperature").alarm.severity == 3, "on PVAccess", 1.0)
            gone = client.read("PLAIN1:Temperature", ChannelType.TIME_DOUBLE)
            assert gone.data[0] == before.data[0] == 77.25  # the last value and its time stay
            assert bytes(gone.metadata.stamp) == bytes(before.metadata.stamp)
            refused = client.put("PLAIN1:Setpoint", [50.0])
            assert b"NotConnectedError: PLAIN1:Setpoint" in bytes(refused.error_message)
            server.start()
            until(lambda: alarm() == GOOD, "good again", 3.0)
            assert client.put("PLAIN1:Setpoint", [50.0]).status.success
            server.proxy(server.plain).Publish('{"value": 99.0}')  # events flow again
            until(lambda: client.read("PLAIN1:Temperature").data[0] == 99.0, "the new value", 1.0)
            server.proxy(server.plain).Publish('{"value": 77.25}')
            until(lambda: client.read("PLAIN1:Temperature").data[0] == 77.25, "the old value", 1.0)
        pva.close()


def test_a_server_that_hangs_is_noticed_and_good_again_when_it_goes_on(server: TangoServer) -> None:
    with mirror(config_for(server)) as mirrored, RawClient(mirrored.ca.port) as client:
        alarm = _alarm_of(client, "PLAIN1:Temperature")
        subscriptions = mirrored._devices[server.name(server.plain).lower()]._subscriptions
        begun = subscriptions._generation
        server.hang(hanging=True)
        until(lambda: alarm() == LINK, "INVALID/LINK", 3.0)
        server.hang(hanging=False)
        until(lambda: alarm() == GOOD, "good again", 3.0)
        assert subscriptions._generation == begun, "after a short silence the events come as before"
        server.proxy(server.plain).Publish('{"value": 61.5}')
        until(lambda: client.read("PLAIN1:Temperature").data[0] == 61.5, "and do", 1.0)
        server.proxy(server.plain).Publish('{"value": 99.0}')
        until(lambda: client.read("PLAIN1:Temperature").data[0] == 99.0, "events flow again", 2.0)


@pytest.mark.long
def test_a_restart_between_two_pings_is_noticed(server: TangoServer, monkeypatch: pytest.MonkeyPatch) -> None:
    from servers.epics import linkwatch

    with mirror(config_for(server)) as mirrored, RawClient(mirrored.ca.port) as client:
        channel = client.channel("PLAIN1:Temperature")
        assert client.read(channel).data[0] == 77.25
        monkeypatch.setattr(linkwatch, "PING_PERIOD", 4.0)  # a Python server needs over a second to start
        time.sleep(1.2)  # the period under way ends
        server.kill()
        server.start()
        server.proxy(server.plain).Publish('{"value": 99.0}')
        until(lambda: client.read(channel).data[0] == 99.0, "what was published since", 8.0)
        until(lambda: mirrored.statistics()["devices"][server.name(server.plain)] == "", "all is well")


def test_a_device_that_comes_up_late_is_mirrored_then(caplog: pytest.LogCaptureFixture) -> None:
    late = TangoServer()
    mirrored = Mirror(config_for(late))
    mirrored.start()
    try:
        until(lambda: "not reached" not in str(mirrored.statistics()["servers"]), "it was tried")
        assert mirrored.list_pvs() == []
        late.start()
        with RawClient(mirrored.ca.port) as client:

            def found() -> bool:
                try:
                    return bool(client.read("PLAIN1:Temperature").data[0] == 77.25)
                except LookupError:
                    return False

            until(found, "it is mirrored", 5.0)
        assert not [line for line in caplog.records if line.levelno >= logging.ERROR]
    finally:
        mirrored.stop()
        late.kill()


def test_a_device_without_a_prefix_is_told_and_harms_nobody(
    server: TangoServer, caplog: pytest.LogCaptureFixture
) -> None:
    config = config_for(server, devices=(
        MirroredDevice(server.name(server.plain)), MirroredDevice(server.name(server.described)),
        MirroredDevice(server.name("site/nowhere/1"), "NO:"),
    ))  # fmt: skip
    mirrored = Mirror(config)
    mirrored.start()
    try:
        until(lambda: len(mirrored.list_pvs()) > 20, "the described one is served")
        until(lambda: "no PV prefix" in mirrored.statistics()["devices"][server.name(server.plain)])
        until(lambda: mirrored.statistics()["devices"][server.name("site/nowhere/1")])
        time.sleep(2.5)  # it is tried again, and not logged again
        assert len([line for line in caplog.records if "no PV prefix" in line.getMessage()]) == 1
    finally:
        mirrored.stop()


def test_a_clash_of_names_costs_that_pv_only(server: TangoServer, caplog: pytest.LogCaptureFixture) -> None:
    devices = (
        MirroredDevice(server.name(server.plain), "ONE:"),
        MirroredDevice(server.name(server.described), "ONE:"),
    )
    with mirror(config_for(server, devices=devices)) as mirrored, RawClient(mirrored.ca.port) as client:
        assert {clash.pv for clash in mirrored.clashes} == {"ONE:State", "ONE:Status"}
        assert len([line for line in caplog.records if "already that of" in line.getMessage()]) == 2
        assert client.read("ONE:Temperature").data[0] == 77.25
        assert client.read("ONE:AmpGain_RBV").data[0] == 2.0
        assert client.read("ONE:State").data is not None


def test_a_site_may_choose_pv_names(server: TangoServer) -> None:
    devices = (MirroredDevice(server.name(server.plain), "P:", pv_names={"Temperature": "ColdFinger"}),)
    with mirror(config_for(server, devices=devices)) as mirrored, RawClient(mirrored.ca.port) as client:
        assert client.read("P:ColdFinger").data[0] == 77.25
        with pytest.raises(LookupError):
            client.channel("P:Temperature")


def test_a_reload_changes_devices_and_rules_and_disturbs_no_other_client(server: TangoServer) -> None:
    with mirror(config_for(server)) as mirrored, RawClient(mirrored.ca.port) as client:
        stays = client.channel("SAXS9:AmpGain_RBV")
        client.subscribe(stays)
        goes = client.channel("PLAIN1:Temperature")
        plain, described = mirrored.config.devices
        mirrored.reload(replace(mirrored.config, devices=(replace(plain, prefix="OTHER1:"), described)))
        assert client.wait_for(ca.ServerDisconnResponse).cid == goes.cid

        def moved() -> bool:
            try:
                return bool(client.read("OTHER1:Temperature").data[0] == 77.25)
            except LookupError:
                return False

        until(moved, "the new name")
        with pytest.raises(LookupError):
            client.channel("PLAIN1:Temperature")
        server.proxy(server.described).gain = 5
        assert client.read(stays).data is not None
        setpoint = client.channel("OTHER1:Setpoint")
        assert setpoint.access_rights & AccessRights.WRITE
        mirrored.reload(replace(mirrored.config, access=(Rule(network="10.0.0.0/8"),)))
        until(lambda: client.wait_for(ca.AccessRightsResponse).cid == setpoint.cid, "it is told")
        assert client.put(setpoint, [50.0]).status.name == "ECA_NOWTACCESS"
        mirrored.reload(replace(mirrored.config, devices=()))
        until(lambda: not mirrored.list_pvs(), "nothing is left")
        with pytest.raises(ConfigurationError, match="ca_port cannot be changed"):
            mirrored.reload(replace(mirrored.config, ca_port=1))


def test_a_second_mirror_on_the_same_ports_is_refused(server: TangoServer) -> None:
    with mirror(config_for(server)) as first:
        again = replace(first.config, ca_port=first.ca.port)
        with pytest.raises(ConfigurationError, match=rf"port {first.ca.port} .* pid \d+"):
            Mirror(again).start()
        second = Mirror(replace(first.config, pva_port=first.pva.port))
        with pytest.raises(ConfigurationError, match=rf"PVAccess.*port {first.pva.port} .* pid \d+"):
            second.start()
        with socket.create_connection(("127.0.0.1", first.ca.port)):
            pass
        with pytest.raises(OSError):  # what the second had taken already is free again
            socket.create_connection(("127.0.0.1", second.ca.port))


def test_one_device_cannot_be_there_twice() -> None:
    with pytest.raises(ConfigurationError, match="cryo/cryocon/1 is there twice"):
        MirrorConfig(devices=(MirroredDevice("cryo/cryocon/1"), MirroredDevice("Cryo/CryoCon/1")))


def test_a_clean_stop_leaves_no_port_and_no_thread(server: TangoServer) -> None:
    before = {thread.name for thread in threading.enumerate()}
    with mirror(config_for(server)) as mirrored:
        with RawClient(mirrored.ca.port) as client:
            client.subscribe(client.channel("PLAIN1:Temperature"))
            client.put("PLAIN1:Setpoint", [60.0])
        mirrored.stop()
        mirrored.stop()
        # Tango's and p4p's own threads bear the name Dummy; the mirror's bear its name.
        left = {thread.name for thread in threading.enumerate()} - before
        assert not [name for name in left if not name.startswith("Dummy")]
        for port in (mirrored.ca.port, mirrored.pva.port):
            with socket.socket() as again:
                again.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                again.bind(("127.0.0.1", port))
    server.proxy(server.plain).Publish('{"value": 78.0}')
    with mirror(config_for(server)) as anew, RawClient(anew.ca.port) as client:
        assert client.read("PLAIN1:Temperature").data[0] == 78.0


@pytest.mark.long
def test_a_stop_does_not_wait_for_a_server_that_hangs_for_long(server: TangoServer) -> None:
    with mirror(config_for(server)) as mirrored:
        server.hang(hanging=True)
        time.sleep(1.0)
        begun = time.monotonic()
        mirrored.stop()
        assert time.monotonic() - begun < 6.0
        server.hang(hanging=False)
        until(lambda: not [one for one in threading.enumerate() if one.name.startswith("epics-")], "all threads end")


def test_the_environment_of_the_parent_does_not_move_the_servers(
    server: TangoServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = str(free_port())
    for name in ("EPICS_CA_SERVER_PORT", "EPICS_CAS_SERVER_PORT", "EPICS_PVA_SERVER_PORT", "EPICS_PVAS_SERVER_PORT"):
        monkeypatch.setenv(name, elsewhere)
    monkeypatch.setenv("EPICS_PVAS_INTF_ADDR_LIST", "0.0.0.0")
    with mirror(config_for(server)) as mirrored:
        assert str(mirrored.ca.port) != elsewhere
        assert str(mirrored.pva.port) != elsewhere
        with RawClient(mirrored.ca.port) as client:
            assert client.read("PLAIN1:Temperature").data[0] == 77.25
