"""The CryoCon device: a Cryo-con 22C, 24C or 24 temperature controller, or an 18i monitor."""

from __future__ import annotations

import asyncio
import time
from typing import Annotated, Any, ClassVar

from devices.core import Argument, Device, DeviceState, LiveAttribute, Operation, attribute, command, operation
from devices.core.component import Component
from devices.core.errors import ConfigurationError, NotAllowedError, RefusedError, TimeoutError
from devices.cryocon.input import SensorInput
from devices.cryocon.loop import AnalogLoop, ControlLoop, HeaterLoop
from devices.cryocon.properties import CryoConProperties
from devices.cryocon.register import publish, register, registers
from devices.cryocon.relay import AlarmRelay
from devices.drivers.cryocon import CryoConDriver
from devices.drivers.cryocon_models import MODELS, LoopKind
from devices.drivers.cryocon_subsystems import AutotuneMode, AutotuneStatus, Source, Units
from devices.drivers.cryocon_tables import CalibrationCurve, PidTable

#: Attributes and commands that a monitor without loops has not.
OF_CONTROLLERS = (
    *("control", "control_on", "control_off", "auto_tune", "read_pid_table", "write_pid_table"),
    *("overtemperature_enabled", "overtemperature_source", "overtemperature_limit", "heat_sink"),
)
#: So many registers are asked for between two chances for the fast poll, which goes first.
REGISTERS_AT_ONCE = 24

LoopNumber = Annotated[int, Argument(limits=(1, 4), doc="Number of a loop")]
CurveNumber = Annotated[int, Argument(limits=(1, 8), doc="1 is user sensor 61")]
TableNumber = Annotated[int, Argument(limits=(1, 6), doc="Number of a PID table")]
Lines = Annotated[str, Argument(text_limit=16384, doc="Lines as the manual has them, name first")]


class CryoCon(Device):
    """A Cryo-con temperature controller (22C, 24C, 24) or monitor (18i), over TCP, UDP or a serial line.

    A restart adopts what the instrument holds and never moves a heater.
    """

    properties_class = CryoConProperties
    properties: CryoConProperties
    #: Devices whose ``init_commands`` this process has sent: the Tango command Init must not write to the hardware.
    _initialised: ClassVar[set[str]] = set()

    description = attribute(str, doc="What this instrument cools", text_limit=200)
    identity = attribute(str, doc="Model, serial number and firmware, as it says itself", text_limit=200)
    control = attribute(bool, doc="Whether the loops are in control")

    overtemperature_enabled = register(
        bool, "overtemperature.enabled", access="read_write", doc="Whether the over-temperature interlock is on"
    )
    overtemperature_source = register(
        Source,
        "overtemperature.source",
        access="read_write",
        level="expert",
        doc="The input that the interlock watches",
    )
    overtemperature_limit = register(
        float, "overtemperature.temperature", access="read_write", doc="Above this, control is switched off"
    )
    front_panel_locked = register(bool, "system.lockout", access="read_write", doc="Whether the front panel is locked")
    remote_led = register(bool, "system.remote_led", access="read_write", level="expert", doc="The Remote LED")
    instrument_name = register(str, "system.name", access="read_write", doc="Name of the instrument")
    display_filter = register(
        float, "system.display_filter", access="read_write", unit="s", limits=(0.5, 64.0), doc="Filter of the display"
    )
    line_frequency = register(
        int, "system.line_frequency", access="read_write", unit="Hz", level="expert", doc="50 or 60"
    )
    ambient_temperature = register(float, "system.ambient", unit="degC", precision=1, doc="Inside the instrument")
    heat_sink = register(float, "system.heat_sink", unit="degC", precision=1, doc="Heat-sink of the outputs")
    firmware = register(str, "system.firmware_revision", doc="Firmware revision")
    hardware = register(str, "system.hardware_revision", doc="Hardware revision")
    statistics_minutes = register(float, "statistics.minutes", unit="min", precision=1, doc="Since when statistics run")
    log_enabled = register(bool, "data_log.enabled", access="read_write", doc="Whether the instrument's data log runs")
    log_interval = register(
        float, "data_log.interval", access="read_write", unit="s", limits=(0.0, 86400.0), doc="Of the data log"
    )
    log_count = register(float, "data_log.count", precision=0, doc="Records in the data log")

    inputs: dict[str, SensorInput]
    loops: dict[str, ControlLoop]
    relays: dict[str, AlarmRelay]

    def build(self) -> None:
        model = MODELS[self.properties.model]
        self.driver = CryoConDriver(
            self.properties.link, timeout=self.properties.timeout, spacing=self.properties.spacing
        )
        self.inputs = self.parts(SensorInput, [letter.lower() for letter in model.inputs])
        heaters = [str(number) for number, loop in model.loops.items() if loop.kind is LoopKind.HEATER]
        analog = [str(number) for number in model.loops if str(number) not in heaters]
        self.loops = {**self.parts(HeaterLoop, heaters), **self.parts(AnalogLoop, analog)}
        self.relays = self.parts(AlarmRelay, map(str, model.relays))
        if not model.controls:
            self.without(*OF_CONTROLLERS)
        self.add_poll(self.poll_values, self.properties.period, "temperatures and loops")
        self.add_poll(self.poll_registers, self.properties.settings_period, "settings")

    @property
    def subsystem(self) -> CryoConDriver:
        return self.driver

    async def connect(self) -> None:
        identity = await self.driver.connect()
        expected = self.properties.model
        if self.driver.model.name != expected:
            raise ConfigurationError(
                self.properties.link, [f"a {self.driver.model.name} answers, the property model says {expected}"]
            )
        self.identity.publish(
            f"{identity.maker} {identity.model}, serial {identity.serial}, firmware {identity.firmware}"
        )
        self.description.publish(self.properties.description or f"Cryo-con {identity.model}")
        if self.name not in self._initialised:
            for text in self.properties.init_commands:
                await self.driver.command(text)
            self._initialised.add(self.name)

    async def disconnect(self) -> None:
        await self.driver.close()

    # Polls --------------------------------------------------------------------------------------------------------

    async def poll_values(self) -> None:
        """Temperatures, alarms, set points and outputs: one compound query."""
        found = await self.driver.poll()
        units: dict[str, Units] = {}
        for letter, snapshot in found.inputs.items():
            self.inputs[letter.lower()].publish_snapshot(snapshot, found.timestamp)
            if snapshot.units.value is not None:
                units[letter] = snapshot.units.value
        for number, loop in found.loops.items():
            self.loops[str(number)].publish_snapshot(loop, units, found.timestamp)
        if found.control is not None:
            publish(self.control, found.control, found.timestamp)
            if found.control.value is not None:
                self.set_state(DeviceState.ON if found.control.value else DeviceState.STANDBY)

    async def poll_registers(self) -> None:
        """Everything else, a group at a time so that puts and the fast poll go between."""
        owners: list[Component] = [self, *self.inputs.values(), *self.loops.values(), *self.relays.values()]
        wanted = [pair for pair in registers(owners) if pair[0].name in self.attributes]
        for start in range(0, len(wanted), REGISTERS_AT_ONCE):
            await self._ask(wanted[start : start + REGISTERS_AT_ONCE])

    async def _ask(self, wanted: list[tuple[LiveAttribute[Any], Any]]) -> None:
        # The time before the question: a put that ends meanwhile must not be undone by an older answer.
        asked = time.time()
        answers = await self.driver.answers(*(query for _, query in wanted))
        for (live, _), answer in zip(wanted, answers, strict=True):
            publish(live, answer, asked)

    # Commands -----------------------------------------------------------------------------------------------------

    @command(dangerous=True)
    async def control_on(self) -> None:
        """Put all loops into control: heaters may go on."""
        on = await self.driver.control_on()
        self.control.publish(on)
        if not on:
            raise RefusedError("control stays off: an over-temperature or another interlock prevents it")

    @command()
    async def control_off(self) -> None:
        """Take all loops out of control: heaters go off."""
        self.control.publish(await self.driver.control_off())

    @command()
    async def reset_statistics(self) -> None:
        """Begin the statistics of all inputs anew."""
        await self.driver.statistics.reset()

    @command(level="expert")
    async def save_settings(self) -> None:
        """Keep the present settings in the instrument over a power failure (NVSave)."""
        await self.driver.system.save()

    @command(level="expert")
    async def save_configuration(self, number: TableNumber) -> None:
        """Store the present settings as one of the instrument's configurations."""
        await self.driver.configuration(number).save()

    @command(level="expert", dangerous=True)
    async def restore_configuration(self, number: TableNumber) -> None:
        """Load one of the instrument's stored configurations: set points and types change."""
        await self.driver.configuration(number).restore()

    @command(level="expert")
    async def send_init_commands(self) -> None:
        """Send the commands of the property ``init_commands`` again."""
        for text in self.properties.init_commands:
            await self.driver.command(text)

    @command(level="expert", dangerous=True)
    async def send(self, text: Annotated[str, Argument(text_limit=255)]) -> None:
        """Send any command to the instrument, e.g. ``input A:units C``."""
        await self.driver.command(text)

    @command(level="expert")
    async def query(self, text: Annotated[str, Argument(text_limit=255)]) -> str:
        """Ask the instrument anything, e.g. ``input? A``."""
        return await self.driver.query(text)

    @command()
    async def clear_log(self) -> None:
        """Empty the instrument's data log."""
        await self.driver.data_log.clear()

    @command()
    async def beep(self, seconds: Annotated[int, Argument(unit="s", limits=(1, 60))] = 1) -> None:
        """Sound the beeper, to find the instrument in a rack."""
        await self.driver.system.beep(seconds)

    # Operations ---------------------------------------------------------------------------------------------------

    @operation(dangerous=True)
    async def auto_tune(
        self,
        run: Operation,
        loop: LoopNumber,
        mode: AutotuneMode = AutotuneMode.PID,
        delta_power: Annotated[float, Argument(unit="%", limits=(1.0, 100.0), doc="Largest step of the output")] = 5.0,
        timeout: Annotated[float, Argument(unit="s", limits=(1.0, 86400.0))] = 600.0,
        save: bool = True,
    ) -> dict[str, Any]:
        """Let the instrument find the gains of a loop; with ``save`` they are taken over and it goes on in PID."""
        if loop not in self.driver.loops:
            raise NotAllowedError(f"loop {loop}: the {self.properties.model} has loops {', '.join(self.loops)}")
        if not self.control.reading.value:
            raise NotAllowedError("auto_tune needs the loops in control: run control_on first")
        tune = self.driver.loops[loop].autotune
        await tune.mode.write(mode)
        await tune.delta_power.write(delta_power)
        await tune.timeout.write(timeout)
        run.report(0.0, f"loop {loop} is being tuned")
        await tune.start()
        began = time.monotonic()
        status = AutotuneStatus.RUNNING
        try:
            while (status := await tune.status.read()) in (AutotuneStatus.RUNNING, AutotuneStatus.IDLE):
                elapsed = time.monotonic() - began
                if elapsed > timeout + self.properties.timeout:
                    raise TimeoutError(f"auto-tune of loop {loop} is still {status} after {elapsed:.0f} s")
                run.report(min(99.0, 100.0 * elapsed / timeout), f"loop {loop}: {status.lower()}, {elapsed:.0f} s")
                await asyncio.sleep(self.properties.period / 2)
            if status is not AutotuneStatus.COMPLETE:
                raise RefusedError(f"auto-tune of loop {loop} ended as {status} after {time.monotonic() - began:.0f} s")
            gains = {name: await getattr(tune, name).read() for name in ("p_gain", "i_gain", "d_gain")}
            if save:
                await tune.save()
        finally:
            if status is not AutotuneStatus.COMPLETE:
                # Aborted or failed: the instrument must not go on stepping the heater.
                await tune.exit()
        run.report(100.0, f"loop {loop} is tuned")
        return {"loop": loop, **gains, "saved": save}

    @operation()
    async def read_curve(self, run: Operation, number: CurveNumber) -> dict[str, Any]:
        """Read a user's calibration curve; the result has its lines."""
        return {"number": number, "lines": (await self.driver.read_curve(number)).lines()}

    @operation(level="expert")
    async def write_curve(self, run: Operation, number: CurveNumber, lines: Lines) -> dict[str, Any]:
        """Give a user sensor its calibration curve and read it back; the instrument stores it for 5 s."""
        curve = CalibrationCurve.parse(lines.splitlines())
        run.report(10.0, f"curve {number}: {len(curve.points)} points")
        await self.driver.write_curve(number, curve)
        return {"number": number, "name": curve.name, "points": len(curve.points)}

    @operation()
    async def read_pid_table(self, run: Operation, number: TableNumber) -> dict[str, Any]:
        """Read a PID table; the result has its lines."""
        return {"number": number, "lines": (await self.driver.read_pid_table(number)).lines()}

    @operation(level="expert")
    async def write_pid_table(self, run: Operation, number: TableNumber, lines: Lines) -> dict[str, Any]:
        """Replace a PID table and read it back."""
        table = PidTable.parse(lines.splitlines())
        now = await self.driver.write_pid_table(number, table)
        if len(now.entries) != len(table.entries):
            raise RefusedError(f"PID table {number}: {len(now.entries)} of {len(table.entries)} entries were taken")
        return {"number": number, "name": now.name, "entries": len(now.entries)}

    @operation()
    async def read_log(self, run: Operation) -> dict[str, Any]:
        """Read the whole data log: times by the instrument's clock, temperatures in display units (null: none)."""
        records = await self.driver.read_log()
        rows = [[r.time.isoformat(), *(t.value if t.valid else None for t in r.temperatures)] for r in records]
        run.report(100.0, f"{len(rows)} records")
        return {"records": rows}
