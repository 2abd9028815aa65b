"""One relay of a CryoCon."""

from __future__ import annotations

from typing import TYPE_CHECKING

from devices.core import Part
from devices.cryocon.register import Registers, register
from devices.drivers.cryocon_subsystems import Relay, RelayMode, RelayState, Source

if TYPE_CHECKING:
    from devices.cryocon.device import CryoCon  # noqa: F401 (named in a string below)


class AlarmRelay(Registers, Part["CryoCon"]):
    """State and bounds of relay {key}, in the display unit of its source."""

    group = "Relay {key}"

    relay_state = register(RelayState, "state", doc="State of relay {key}: --, HI, LO, ON, OFF")
    relay_mode = register(
        RelayMode, "mode", access="read_write", doc="AUTO follows its source, CONTROL the loops; ON and OFF are by hand"
    )
    relay_source = register(Source, "source", access="read_write", doc="The input that relay {key} watches")
    relay_high = register(float, "highest", access="read_write", unit="K", doc="Above this, relay {key} is HI")
    relay_low = register(float, "lowest", access="read_write", unit="K", doc="Below this, relay {key} is LO")
    relay_deadband = register(
        float, "deadband", access="read_write", unit="K", limits=(0.0, 1000.0), doc="Dead-band of both"
    )

    @property
    def subsystem(self) -> Relay:
        return self.device.driver.relays[int(self.key)]

    @property
    def unit_source(self) -> str | None:
        return self.relay_source.reading.value
