"""The settings of a CryoCon as a whole: interlock, front panel, clock, network, mail."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from devices.core import Argument, command
from devices.core.errors import BadValueError
from devices.cryocon.instrument import Instrument
from devices.cryocon.register import register
from devices.drivers.cryocon import CryoConDriver
from devices.drivers.cryocon_items import Query, Subsystem
from devices.drivers.cryocon_subsystems import DisplayResolution, Source

Letter = Annotated[str, Argument(text_limit=1, doc="Letter of an input")]
Port = Annotated[int, Argument(limits=(1, 65535))]
Name = Annotated[str, Argument(text_limit=15)]
MailAddress = Annotated[str, Argument(text_limit=40)]


class System(Instrument):
    """Interlock, front panel, statistics, clock, network and mail."""

    overtemperature_enabled = register(
        bool,
        "overtemperature.enabled",
        access="read_write",
        group="Over-temperature",
        doc="Whether the over-temperature interlock is on",
    )
    overtemperature_source = register(
        Source,
        "overtemperature.source",
        access="read_write",
        level="expert",
        group="Over-temperature",
        doc="The input that the interlock watches",
    )
    overtemperature_limit = register(
        float,
        "overtemperature.temperature",
        access="read_write",
        unit="K",
        group="Over-temperature",
        doc="Above this, control is switched off",
    )
    heat_sink = register(
        float, "system.heat_sink", unit="degC", precision=1, group="Instrument", doc="Heat-sink of the outputs"
    )
    ambient_temperature = register(
        float, "system.ambient", unit="degC", precision=1, group="Instrument", doc="Inside the instrument"
    )
    cold_junction = register(
        float,
        "system.cold_junction",
        unit="degC",
        precision=1,
        level="expert",
        group="Instrument",
        doc="Reference of thermocouples",
    )
    front_panel_locked = register(
        bool, "system.lockout", access="read_write", group="Instrument", doc="Whether the front panel is locked"
    )
    remote_led = register(
        bool, "system.remote_led", access="read_write", level="expert", group="Instrument", doc="The Remote LED"
    )
    instrument_name = register(
        str, "system.name", access="read_write", group="Instrument", doc="Name of the instrument"
    )
    display_filter = register(
        float,
        "system.display_filter",
        access="read_write",
        unit="s",
        limits=(0.5, 64.0),
        group="Instrument",
        doc="Filter of the display",
    )
    display_resolution = register(
        DisplayResolution,
        "system.display_resolution",
        access="read_write",
        level="expert",
        group="Instrument",
        doc="Decimals of a displayed temperature: 1, 2, 3, or FULL for seven digits",
    )
    line_frequency = register(
        int, "system.line_frequency", access="read_write", unit="Hz", level="expert", group="Instrument", doc="50 or 60"
    )
    gpib_address = register(
        int,
        "system.address",
        access="read_write",
        limits=(1, 31),
        level="expert",
        group="Instrument",
        doc="Address on an IEEE-488 bus",
    )
    firmware = register(str, "system.firmware_revision", group="Instrument", doc="Firmware revision")
    hardware = register(str, "system.hardware_revision", group="Instrument", doc="Hardware revision")
    statistics_minutes = register(
        float, "statistics.minutes", unit="min", precision=1, group="Instrument", doc="Since when statistics run"
    )

    @property
    def subsystem(self) -> CryoConDriver:
        return self.driver

    @property
    def unit_source(self) -> str | None:
        return self.overtemperature_source.reading.value

    @command()
    async def reset_statistics(self) -> None:
        """Begin the statistics of all inputs anew."""
        await self.driver.statistics.reset()
        self.unread.update(self.inputs.values(), [self])

    @command(level="expert")
    async def reseed(self) -> None:
        """Let the display filters begin at the present temperatures: after a jump they need not settle."""
        await self.driver.system.reseed()

    @command(level="expert")
    async def save_settings(self) -> None:
        """Keep the present settings in the instrument over a power failure (NVSave)."""
        await self.driver.system.save()

    @command(level="expert", dangerous=True)
    async def reset(self) -> None:
        """Begin as after power on (*RST): settings that were not saved are lost, set points may change."""
        await self.driver.reset()
        self.unread.update(self.components)

    @command()
    async def beep(self, seconds: Annotated[int, Argument(unit="s", limits=(1, 60))] = 1) -> None:
        """Sound the beeper, to find the instrument in a rack."""
        await self.driver.system.beep(seconds)

    @command(level="expert")
    async def read_clock(self) -> str:
        """The instrument's own date and time, which know no time zone: 2026-01-31T23:59:59."""
        system = self.driver.system
        date, time = await self.driver.answers(system.date, system.time)
        return datetime.combine(date.get(), time.get().time()).isoformat()

    @command(level="expert")
    async def set_clock(self, time: Annotated[str, Argument(text_limit=32, doc="ISO; empty: this computer's")]) -> None:
        """Set the instrument's date and time."""
        try:
            wanted = datetime.fromisoformat(time) if time else datetime.now()
        except ValueError:
            raise BadValueError(f"time = {time!r} is not like 2026-01-31T23:59:59") from None
        await self.driver.system.date.write(wanted)
        await self.driver.system.time.write(wanted)

    @command(level="expert")
    async def read_network(self) -> dict[str, Any]:
        """The Ethernet settings: address, port, name, dhcp, mac_address."""
        return await self._all_of(self.driver.network)

    @command(level="expert", dangerous=True)
    async def set_network(self, address: Name, port: Port, name: Name, dhcp: bool) -> None:
        """Change the Ethernet settings; the link may end with it."""
        network = self.driver.network
        await network.name.write(name)
        await network.port.write(port)
        await network.dhcp.write(dhcp)
        await network.address.write(address)

    @command(level="expert")
    async def read_mail(self, letter: Letter) -> dict[str, Any]:
        """The mail that an alarm of an input sends: server, sender, recipient, port, enabled."""
        return await self._all_of(self.driver.mail(letter.upper()))

    @command(level="expert")
    async def set_mail(
        self, letter: Letter, server: Name, sender: MailAddress, recipient: MailAddress, port: Port, enabled: bool
    ) -> None:
        """Change the mail that an alarm of an input sends."""
        mail = self.driver.mail(letter.upper())
        await mail.server.write(server)
        await mail.sender.write(sender)
        await mail.recipient.write(recipient)
        await mail.port.write(port)
        await mail.enabled.write(enabled)

    async def _all_of(self, subsystem: Subsystem) -> dict[str, Any]:
        items: dict[str, Query[Any]] = dict(subsystem.queries())
        answers = await self.driver.answers(*items.values())
        return {name: answer.get() for name, answer in zip(items, answers, strict=True)}
