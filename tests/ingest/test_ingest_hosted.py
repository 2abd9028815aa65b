"""The ingest as a facility asks for it."""

from __future__ import annotations

import asyncio
import logging

import pytest

from devices.core.errors import ConfigurationError, NotConnectedError
from devices.correlator import CorrelatorServer
from devices.correlator.properties import CorrelatorProperties
from servers.ingest.complaints import Complaints
from servers.ingest.hosted import ingest
from servers.ingest.service import IngestService, sub_band_of
from servers.ingest.settings import IngestSettings, Listening
from tests.ingest.station import ISOT, assembling, exchange, node_body, request
from tests.support.kettle import Kettle


def server(**properties) -> CorrelatorServer:
    return CorrelatorServer("corr/server/1", CorrelatorProperties(gridsize=8, nchans=3, nsamps=5, **properties))


def test_options_and_properties_become_settings(tmp_path):
    token = tmp_path / "token"
    token.write_text("correct horse\nand more\n")
    device = server(datasize=4, headersize=96, testh23=True, timeout=2.5, maxconnect=7)
    service = ingest(
        device,
        {
            "listen": "127.0.0.1:8810 [::1]:8811",
            "order": "port name",
            "addresses": "10.41.0.1=2 fe80:0::1=0",
            "token_file": str(token),
            "request": "12.5",
            "connections": "9",
        },
    )
    assert service._settings == IngestSettings(
        name="ingest of corr/server/1",
        listen=(Listening("127.0.0.1", 8810, 0), Listening("::1", 8811, 1)),
        order=("port", "name"),
        addresses={"10.41.0.1": 2, "fe80::1": 0},
        one_client=True,
        datasize=4,
        header_bytes=96,
        token="correct horse",
        silence_s=2.5,
        request_s=12.5,
        connections=9,
        backlog=7,
    )
    assert ingest(server(port=8850), {})._settings.listen == (Listening("127.0.0.1", 8850, 0),)


def test_wrong_options_are_told_all_at_once():
    wrong = {
        "listen": "8843", "order": "name name", "addresses": "here=1 10.0.0.1=3", "token_file": "/no/such/file",
        "idle": "soon", "bodies": "0", "colour": "red",
    }  # fmt: skip
    with pytest.raises(ConfigurationError) as told:
        ingest(server(), wrong)
    assert len(told.value.problems) == 9
    with pytest.raises(ConfigurationError, match="no correlator image server"):
        ingest(Kettle("kettle/1"), {})


def test_it_waits_for_a_device_that_assembles_and_refuses_while_that_is_gone():
    async def check():
        with assembling() as station:
            settings = IngestSettings(listen=(Listening("127.0.0.1", 0),))
            assembler, station.assembler = station.assembler, None
            service = IngestService(station, settings)
            with pytest.raises(NotConnectedError):
                await service.start()
            station.assembler = assembler
            await service.start()
            port = int(service.endpoints[0].rpartition(":")[2])
            taken = IngestService(station, IngestSettings(listen=(Listening("127.0.0.1", port),)))
            with pytest.raises(ConfigurationError, match=f"cannot listen on 127.0.0.1:{port}"):
                await taken.start()
            station.assembler = None
            assert (await exchange(port, request(f"/sb01_IMG{ISOT}.npy", node_body(1))))[0] == 503
            station.assembler = assembler
            assert (await exchange(port, request(f"/sb01_IMG{ISOT}.npy", node_body(1))))[0] == 200
            await service.stop()

    asyncio.run(check())


def test_an_ipv4_peer_of_an_ipv6_socket_has_its_ipv4_address():
    from devices.drivers.correlator_message import MessageName

    settings = IngestSettings(addresses={"10.41.0.1": 2}, order=("address",))
    assert sub_band_of(MessageName(None, ISOT), "::ffff:10.41.0.1", None, settings) == 2


def test_many_refusals_are_one_line_of_the_log_and_a_number(caplog):
    seconds = 0.0
    complaints = Complaints(logging.getLogger("diptych.ingest"), lambda: seconds)
    for number in range(100):
        complaints.tell(409, f"late {number}")
    complaints.tell(400, "no name")
    seconds = 61.0
    complaints.tell(409, "late again")
    lines = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert lines == ["late 0", "no name", "late again (99 more since the last line like this)"]
