"""A server process with many small devices.

Run with the name of the server, how many devices, a folder, and how many values each device has.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

from devices.core import Device, Part, attribute, command
from devices.core.property import Properties, setting
from servers.facility.facility_file import Facility
from servers.facility.ports import Ports
from servers.host import Host

#: With State, Status and the alarm summary 20 PVs.
VALUES = 17
OWN = 3


class Value(Part["Small"]):
    """One of several equal values."""

    level = attribute(float, unit="V", initial=0.5, doc="Level {key}")


@dataclass(frozen=True)
class SmallProperties(Properties):
    """How many values a device has."""

    values: int = setting(VALUES, limits=(1, 1000), doc="How many")


class Small(Device):
    """A device with values that hardly change."""

    properties_class = SmallProperties
    properties: SmallProperties

    def build(self) -> None:
        self.values = self.parts(Value, [str(number) for number in range(self.properties.values)])

    @command()
    async def show(self, volts: float) -> None:
        """Publish all values."""
        for number, value in enumerate(self.values.values()):
            value.level.publish(volts + number)


def device_names(server: str, count: int) -> list[str]:
    return [f"fleet/{server}/{number}" for number in range(count)]


def main() -> int:
    server, count, folder, values = sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]), sys.argv[4]
    devices = {name: {"values": [values]} for name in device_names(server, count)}
    facility = Facility(
        name="fleet",
        path=folder / "fleet.json",
        state_dir=folder,
        ports=Ports(),
        devices={f"Diptych/{server}": {"Small": devices}},
        classes={"Small": "benchmarks.fleet_server:Small"},
    )
    host = Host(f"Diptych/{server}", facility, tango_host=None, state_dir=folder, tango_port=0)
    (folder / f"{server}.port").write_text(str(host.tango_port))
    return host.run()


if __name__ == "__main__":
    sys.exit(main())
