"""Two mirrors of one lease: one serves, the other one follows the devices and answers nobody until it is its turn."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest
from p4p.client.thread import Context

from devices.core.errors import ConfigurationError
from servers.epics.device import EpicsMirror
from servers.epics.mirror import Mirror
from tests.epics.mirroring import TangoServer, config_for, free_port, tango_server, until
from tests.epics.raw_client import RawClient
from tests.support.serving import Server, serving

PV = "PLAIN1:Temperature"
SECONDS = 30.0  # the lease is of 3 s; machines that others use are slow


@pytest.fixture(scope="module")
def server() -> Iterator[TangoServer]:
    with tango_server() as running:
        yield running


@pytest.fixture(scope="module")
def voter(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("voter")
    with serving("servers.epics.voter:LeaseVoter", "lease/voter/1", {"longest": "3"}, folder=folder) as running:
        yield running


def started(server: TangoServer, voter: Server, name: str, broadcast_port: int) -> Mirror:
    mirror = Mirror(
        config_for(
            server,
            lease="facility",
            lease_holder=name,
            lease_voters=(voter.address,),
            pva_broadcast_port=broadcast_port,
        )
    )
    mirror.start()
    until(lambda: not any(mirror.statistics()["devices"].values()), "the devices are followed", SECONDS)
    return mirror


@pytest.mark.long
def test_one_serves_and_the_other_one_when_it_stops_or_has_lost_its_votes(server: TangoServer, voter: Server) -> None:
    first = started(server, voter, "mirror/epics/1", free_port())
    until(lambda: first.doors.is_open, "the first one has the lease", SECONDS)
    second = started(server, voter, "mirror/epics/2", free_port())
    servers = f"127.0.0.1:{first.pva.port} 127.0.0.1:{second.pva.port}"
    conf = {"EPICS_PVA_ADDR_LIST": "", "EPICS_PVA_AUTO_ADDR_LIST": "NO", "EPICS_PVA_NAME_SERVERS": servers}
    pva = Context("pva", conf=conf, useenv=False, nt=False)
    heard: list[object] = []
    try:
        assert first.ca.search(PV) == first.ca.port and second.ca.search(PV) == 0
        assert {entry.name for entry in first.list_pvs()} > {PV} and second.list_pvs() == []
        with RawClient(second.ca.port) as client, pytest.raises(LookupError):
            client.channel(PV)
        until(lambda: holder_seen_by(second), "the standby knows the holder", SECONDS)
        assert holder_seen_by(second).startswith("mirror/epics/1 (")
        subscription = pva.monitor(PV, heard.append, notify_disconnect=True)
        until(lambda: heard and not isinstance(heard[-1], Exception), "the first value", SECONDS)

        first.stop()
        until(lambda: second.doors.is_open, "the second one takes over", SECONDS)
        assert second.ca.search(PV) == second.ca.port
        count = len(heard)
        until(lambda: len(heard) > count and not isinstance(heard[-1], Exception), "the monitor goes on", SECONDS)
        with RawClient(second.ca.port) as client:
            assert client.read(PV).data[0] == 77.25
            voter.process.send_signal(signal.SIGSTOP)
            until(lambda: not second.doors.is_open, "without votes it serves nobody", SECONDS)
            with pytest.raises((ConnectionError, OSError)):
                client.read(PV)
        assert second.ca.search(PV) == 0 and second.list_pvs() == []
        voter.process.send_signal(signal.SIGCONT)
        until(lambda: second.doors.is_open, "it has the votes again", SECONDS)
        count = len(heard)
        until(lambda: len(heard) > count and not isinstance(heard[-1], Exception), "the monitor goes on", SECONDS)
        subscription.close()
    finally:
        voter.process.send_signal(signal.SIGCONT)
        pva.close()
        first.stop()
        second.stop()


def holder_seen_by(mirror: Mirror) -> str:
    assert mirror.lease is not None
    return mirror.lease.seen(mirror.lease.clock())[0]


def test_two_mirrors_with_a_share_each_have_all_devices_between_them() -> None:
    with pytest.raises(ConfigurationError, match=r"share = '3/2'"):
        EpicsMirror("mirror/epics/1", {"share": ["3/2"], "devices": ["a/b/c"]})._config()
    kept = EpicsMirror("mirror/epics/1", {"share": ["1/2"], "devices": [f"lab/psu/{n}=P{n}:" for n in range(50)]})
    left = EpicsMirror("mirror/epics/2", {"share": ["2/2"], "devices": [f"lab/psu/{n}=P{n}:" for n in range(50)]})
    ours, theirs = ({device.name for device in mirror._config().devices} for mirror in (kept, left))
    assert ours and theirs and not ours & theirs and len(ours | theirs) == 50
