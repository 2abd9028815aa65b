"""DCSS drives a CryoCon served by Tango, and an EPICS motor record, through the bridge."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from pathlib import Path

import yaml

from devices.core.neighbours import Neighbours
from devices.dcss.bridge import Bridge
from devices.dcss.dhs_link import DhsLink
from devices.dcss.mapping import checked_mapping, fill
from devices.simulators.cryocon import CryoConSimulator
from devices.simulators.dcss import Database, DcssSimulator
from servers.neighbours.all_neighbours import AllNeighbours
from servers.neighbours.epics_neighbours import EpicsNeighbours
from tests.neighbours.test_epics_neighbours import free_port, motor_record, until
from tests.support.serving import serving

DATABASE = {
    "hosts": {"diptych": {}},
    "devices": [
        {"kind": "pseudo_motor", "name": "cryo_target", "host": "diptych", "upper": 1000.0, "units": "K"},
        {"kind": "string", "name": "cryo_status", "host": "diptych"},
        {"kind": "operation", "name": "cryo_off", "host": "diptych"},
        {"kind": "real_motor", "name": "table_vert", "host": "diptych"},
    ],
}
CRYOCON = """
pseudo_motors:
  cryo_target: {setpoint: cryo/cryocon/1/setpoint_1, limits: [4, 320]}
strings:
  cryo_status: {words: {A: cryo/cryocon/1/temperature_a, TARGET: cryo/cryocon/1/setpoint_1}, format: .3f, seconds: 0.1}
operations:
  cryo_off: {run: cryo/cryocon/1/control_off}
"""
RECORD = "real_motors: {table_vert: {record: 'BL:mtr3'}}"


@contextlib.asynccontextmanager
async def bridged(mapping: str, neighbours: Neighbours) -> AsyncIterator[DcssSimulator]:
    bridge = Bridge(neighbours, logging.getLogger("diptych.test"))
    fill(bridge, checked_mapping(yaml.safe_load(mapping), "mapping"), "mapping")
    async with DcssSimulator(Database.of(DATABASE)) as dcss:
        link = DhsLink("127.0.0.1", dcss.port, "diptych", bridge)
        bridge.begin()
        await link.start()
        try:
            await dcss.online("diptych")
            yield dcss
        finally:
            await bridge.close()
            await link.stop()
            await neighbours.close()
        assert dcss.violations == []


def test_a_cryocon_is_a_string_a_pseudo_motor_and_an_operation_of_dcss(tmp_path: Path) -> None:
    async def test() -> None:
        async with CryoConSimulator(model="24C") as simulator:
            link = f"tcp://127.0.0.1:{simulator.port}"
            with_server = serving(
                "devices.cryocon:CryoCon", "cryo/cryocon/1", {"link": link, "model": "24C"}, folder=tmp_path
            )
            server = await asyncio.to_thread(with_server.__enter__)
            try:
                async with bridged(CRYOCON, AllNeighbours(lambda device: server.address)) as dcss:
                    target, status = dcss.dcss.devices["cryo_target"], dcss.dcss.devices["cryo_status"]
                    await until(lambda: target.upper == 320.0 and status.contents.startswith("A "))
                    assert dcss.engine.move("cryo_target", 87.5) == ""
                    await dcss.engine.idle("cryo_target")
                    await until(lambda: status.contents.endswith("TARGET 87.500"))
                    assert target.position == 87.5
                    assert simulator.instrument.settings.loops[1].setpoint == 87.5
                    # Somebody turns it at the instrument.
                    simulator.instrument.settings.loops[1].setpoint = 95.25
                    await until(lambda: target.position == 95.25 and status.contents.endswith("TARGET 95.250"))
                    run = await dcss.engine.completed(dcss.engine.start_operation("cryo_off"))
                    assert run.status == "normal"
            finally:
                await asyncio.to_thread(with_server.__exit__, None, None, None)

    asyncio.run(test())


def test_a_motor_record_is_moved_and_stopped_by_its_name_alone() -> None:
    port = free_port()

    async def test() -> None:
        pvs = EpicsNeighbours([f"127.0.0.1:{port}"], [])
        async with bridged(RECORD, AllNeighbours(str, lambda: pvs)) as dcss:
            table = dcss.dcss.devices["table_vert"]
            await until(lambda: (table.lower, table.upper, table.upper_on) == (0.0, 30.0, 1))
            dcss.engine.move("table_vert", 1.5)
            await dcss.engine.idle("table_vert")
            assert table.position == 1.5
            dcss.engine.move("table_vert", 29.0)
            await until(lambda: table.position > 2.0)
            dcss.engine.abort_all()
            await until(lambda: not table.moving)
            assert dcss.engine.outcomes["table_vert"] == "aborted"
            assert 2.0 < table.position < 15.0

    with motor_record(port):
        asyncio.run(test())
