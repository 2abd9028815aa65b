"""The demo's sockets, all of them: known protocols, and nothing that others could reach."""

from __future__ import annotations

import pytest

from servers.facility.listener import NETWORK
from servers.facility.listener_facts import PVA_DATAGRAMS
from servers.facility.listeners import listeners
from tests.support.demo_facility import Facility

pytestmark = pytest.mark.timeout(180)


def test_every_socket_of_the_demo_is_known_and_for_this_host(facility: Facility) -> None:
    found, is_running = listeners(facility.state_dir)
    assert is_running
    assert [each.where for each in found if each.facts is None] == []
    assert {each.facts for each in found if each.reach == NETWORK} <= {PVA_DATAGRAMS}
    protocols = {each.facts.protocol for each in found if each.facts}
    assert protocols >= {"Tango (CORBA)", "Tango events (ZeroMQ)", "Channel Access", "PVAccess", "leash (ZeroMQ)"}
    assert protocols >= {"image ingest (HTTP)", "DaqData (gRPC)", "azcam commands", "Alpaca (HTTP)", "simulator"}
    names = {each.process for each in found}
    assert names >= {"database", "mirror", "cryocon", "saxs", "web", "sim.dcss1"}
    done = facility.run("diptych", "doctor", "--listeners", "--state-dir", str(facility.state_dir))
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith("sockets that listen now")
