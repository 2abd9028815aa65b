"""A server process with many small devices; run with the name of the server, how many devices, and a folder."""

from __future__ import annotations

import sys
from pathlib import Path

from devices.core import Device, Part, attribute, command
from servers.facility.facility_file import Facility
from servers.facility.ports import Ports
from servers.host import Host

#: With State, Status and the alarm summary 20 PVs.
VALUES = 17


class Value(Part["Small"]):
    """One of several equal values."""

    level = attribute(float, unit="V", initial=0.5, doc="Level {key}")


class Small(Device):
    """A device with a few values that hardly change."""

    def build(self) -> None:
        self.values = self.parts(Value, [str(number) for number in range(VALUES)])

    @command()
    async def show(self, volts: float) -> None:
        """Publish all values."""
        for number, value in enumerate(self.values.values()):
            value.level.publish(volts + number)


def device_names(server: str, count: int) -> list[str]:
    return [f"fleet/{server}/{number}" for number in range(count)]


def main() -> int:
    server, count, folder = sys.argv[1], int(sys.argv[2]), Path(sys.argv[3])
    facility = Facility(
        name="fleet",
        path=folder / "fleet.json",
        state_dir=folder,
        ports=Ports(),
        devices={f"Diptych/{server}": {"Small": {name: {} for name in device_names(server, count)}}},
        classes={"Small": "benchmarks.fleet_server:Small"},
    )
    host = Host(f"Diptych/{server}", facility, tango_host=None, state_dir=folder, tango_port=0)
    (folder / f"{server}.port").write_text(str(host.tango_port))
    return host.run()


if __name__ == "__main__":
    sys.exit(main())
