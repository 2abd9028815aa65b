"""Foreign devices that hang, come late or are slow, and files that are read again while clients are connected."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import caproto as ca
import pytest
from caproto import ChannelType

from servers.epics.alarm import Severity, Status
from servers.epics.devices_file import read_devices
from servers.epics.mirror import Mirror
from tests.epics.foreign_server import CRYOSTAT, ForeignServer, config_from, foreign_server
from tests.epics.mirroring import mirror, until, until_equal
from tests.epics.raw_client import RawClient

LINK = (Severity.INVALID, Status.LINK)
ONE, TWO = "site/cryostat/1", "site/cryostat/2"


@pytest.fixture
def server() -> Iterator[ForeignServer]:
    with foreign_server(CRYOSTAT, ONE, TWO) as running:
        yield running


def _line(server: ForeignServer, device: str, prefix: str, more: str = "period: 0.1") -> str:
    return f'{server.name(device)}: {{prefix: "{prefix}", {more}}}\n'


def _reload(mirrored: Mirror, path: Path, text: str) -> None:
    path.write_text(text)
    mirrored.reload(replace(mirrored.config, devices=read_devices(path)))


def _alarm_of(client: RawClient, pv: str) -> Callable[[], tuple[int, int]]:
    channel = client.channel(pv)

    def alarm() -> tuple[int, int]:
        found = client.read(channel, ChannelType.STS_DOUBLE).metadata
        return int(found.severity), int(found.status)

    return alarm


def _is_served(client: RawClient, pv: str) -> bool:
    try:
        client.channel(pv)
    except LookupError:
        return False
    return True


def _gone(client: RawClient) -> set[int]:
    """The channels of which the client was told that they are no more."""
    client.send(ca.EchoRequest())
    client.wait_for(ca.EchoResponse)
    return {message.cid for message in client.unread if isinstance(message, ca.ServerDisconnResponse)}


def test_a_changed_file_disturbs_only_the_clients_of_what_it_changes(server: ForeignServer, tmp_path: Path) -> None:
    path = tmp_path / "lab.devices.yaml"
    one, two = _line(server, ONE, "ONE:"), _line(server, TWO, "TWO:")
    with mirror(config_from(path, one + two)) as mirrored, RawClient(mirrored.ca.port) as client:
        pressure, counter, other = (client.channel(pv) for pv in ("ONE:Pressure", "ONE:Counter", "TWO:Counter"))
        for channel in (pressure, counter, other):
            client.subscribe(channel)
        renamed, left = client.channel("ONE:Level"), client.channel("ONE:Drift")

        changed = "period: 0.1, pv_names: {level: Helium}, leave_out: [drift], mirror_commands: [Double]"
        _reload(mirrored, path, _line(server, ONE, "ONE:", changed) + two)
        until(lambda: _is_served(client, "ONE:Helium") and _is_served(client, "ONE:Double"), "what is new")
        until_equal(lambda: client.read("ONE:Helium").data[0], 41.5, "it is read once it is served")
        assert not _is_served(client, "ONE:Level")
        assert not _is_served(client, "ONE:Drift")
        assert _gone(client) == {renamed.cid, left.cid}
        server.proxy(ONE).Push(json.dumps({"values": [7.5e-6]}))
        until(lambda: client.read(pressure).data[0] == 7.5e-6, "events flow as before")

        _reload(mirrored, path, _line(server, ONE, "ONE:", changed + ", periods: {counter: 600}") + two)
        source = mirrored._devices[server.name(ONE).lower()].records.attributes["counter"]
        until(lambda: source.period == 600, "the period is adopted")
        assert _gone(client) == {renamed.cid, left.cid}

        _reload(mirrored, path, two)
        until(lambda: pressure.cid in _gone(client), "a device that is left")
        _reload(mirrored, path, one + two)
        until(lambda: _is_served(client, "ONE:Pressure"), "and is back")
        count = client.read(other).data[0]
        until(lambda: client.read(other).data[0] > count, "the other one went on")
        assert other.cid not in _gone(client)


def test_a_reload_does_not_wait_for_a_device_that_hangs(server: ForeignServer, tmp_path: Path) -> None:
    with foreign_server() as well:
        path = tmp_path / "lab.devices.yaml"
        texts = _line(server, ONE, "ONE:"), _line(well, well.device, "WELL:")
        with mirror(config_from(path, "".join(texts))) as mirrored, RawClient(mirrored.ca.port) as client:
            alarm = _alarm_of(client, "ONE:Counter")
            server.hang(hanging=True)
            until_equal(alarm, LINK, "it is noticed")
            begun = time.monotonic()
            _reload(mirrored, path, texts[1])
            assert time.monotonic() - begun < 2.0  # the command Reload has 2.5 s
            until(lambda: not _is_served(client, "ONE:Counter"), "it is left")
            assert client.read("WELL:Level").data[0] == 41.5
            server.hang(hanging=False)


def test_a_device_whose_reads_hang_delays_no_other_of_its_server(server: ForeignServer, tmp_path: Path) -> None:
    text = _line(server, ONE, "ONE:") + _line(server, TWO, "TWO:")
    with mirror(config_from(tmp_path / "lab.devices.yaml", text)) as mirrored, RawClient(mirrored.ca.port) as client:
        mine, other = client.channel("ONE:Counter"), client.channel("TWO:Counter")
        server.proxy(ONE).Stall(2.0)
        slow = mirrored._devices[server.name(ONE).lower()].records.attributes["counter"]
        began = slow.next_time
        until(lambda: slow.next_time > began, "a read begins")
        before, count = client.read(mine).data[0], client.read(other).data[0]
        until(lambda: client.read(other).data[0] >= count + 8, "eight reads of the other")
        assert client.read(mine).data[0] <= before + 2
        server.proxy(ONE).Stall(0.0)


@pytest.mark.long
def test_a_device_that_comes_up_late_is_served_then_and_again_after_it_hung(tmp_path: Path) -> None:
    late = ForeignServer()
    mirrored = Mirror(config_from(tmp_path / "lab.devices.yaml", _line(late, late.device, "LATE:")))
    mirrored.start()
    try:
        with RawClient(mirrored.ca.port) as client:
            until(lambda: "Failed to connect" in str(mirrored.statistics()["devices"]), "it was tried")
            assert not _is_served(client, "LATE:Counter")
            late.start()
            until(lambda: _is_served(client, "LATE:Counter"), "it is served", 5.0)
            alarm = _alarm_of(client, "LATE:Counter")
            until_equal(alarm, (0, 0))
            for _ in range(2):
                late.hang(hanging=True)
                until_equal(alarm, LINK, "it hangs")
                late.hang(hanging=False)
                until_equal(alarm, (0, 0), "it goes on")
                count = client.read("LATE:Counter").data[0]
                until(lambda count=count: client.read("LATE:Counter").data[0] > count, "it is read again")
    finally:
        mirrored.stop()
        if late.process is not None:
            late.kill()


def test_a_server_that_is_back_with_other_attributes_keeps_the_clients_of_the_others(
    server: ForeignServer, tmp_path: Path
) -> None:
    server.proxy(ONE).AddSensor("temperature_9")
    text = _line(server, ONE, "ONE:")
    with mirror(config_from(tmp_path / "lab.devices.yaml", text)) as mirrored, RawClient(mirrored.ca.port) as client:
        level, lost = client.channel("ONE:Level"), client.channel("ONE:Temperature9")
        alarm = _alarm_of(client, "ONE:Level")
        server.kill()
        until_equal(alarm, LINK)
        assert client.read(lost).data[0] == 77.5  # it may come back with it
        server.start()
        until_equal(alarm, (0, 0))
        assert _gone(client) == {lost.cid}
        assert client.read(level).data[0] == 41.5
