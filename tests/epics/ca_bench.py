"""A Channel Access server with a few records and no Tango."""

from __future__ import annotations

import os
from typing import Any

from servers.epics.access import Access
from servers.epics.alarm import GOOD, Alarm
from servers.epics.audit import Audit
from servers.epics.ca import ChannelAccess
from servers.epics.gate import Gate
from servers.epics.records import Facts, Kind, Put, Reading, Record
from tests.epics.mirroring import free_port

NS = 1_700_000_000_250_000_000  # the time stamp of the readings
FACTS = Facts(
    unit="K", description="Cold finger", precision=3, limits=(0.0, 400.0), warning=(4.0, 310.0), alarm=(2.0, 350.0)
)


class Bench:
    """A Channel Access server with a few records and no Tango."""

    def __init__(self) -> None:
        self.puts: list[Put] = []
        self.gate = Gate(Access(), Audit(None))
        labels = ("open", "red", "blue")
        made = [
            Record("T", Kind.FLOAT64, facts=FACTS),
            Record("S", Kind.FLOAT64, facts=FACTS, handler=self.puts.append),
            Record("E", Kind.ENUM, facts=Facts(labels=labels), handler=self.puts.append, level="expert"),
            Record("N", Kind.STRING, text_limit=200, handler=self.puts.append),
            Record("SHORT", Kind.STRING, text_limit=39),
            Record("W", Kind.FLOAT32, rank=1, max_length=500, facts=FACTS, handler=self.puts.append),
            Record("L", Kind.STRING, rank=1, max_length=5),
            Record("B", Kind.BOOL),
            Record("I", Kind.UINT16, rank=2, max_length=24),
            Record("BIG", Kind.FLOAT64, rank=2, max_length=1_000_000),
            Record("STREAM", Kind.FLOAT64, rank=1, max_length=20_000),
        ]
        self.records = {record.name: record for record in made}
        self.server = ChannelAccess(self.gate, self.records.get, port=0, image_limit=1_000_000)
        self.server.start()
        self.server.open()

    def publish(self, name: str, value: Any, alarm: Alarm = GOOD) -> None:
        self.records[name].publish(Reading(value, NS, alarm))

    def environment(self) -> dict[str, str]:
        """The environment of a client of this server and of nothing else."""
        clean = {name: value for name, value in os.environ.items() if not name.startswith("EPICS_")}
        return clean | {
            "EPICS_CA_ADDR_LIST": "127.0.0.1",
            "EPICS_CA_AUTO_ADDR_LIST": "NO",
            "EPICS_CA_SERVER_PORT": str(self.server.port),
            "EPICS_CA_REPEATER_PORT": str(free_port()),
        }
