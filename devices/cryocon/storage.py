"""What a CryoCon keeps: calibration curves, the sensor table, PID tables, configurations, the data log."""

from __future__ import annotations

from typing import Annotated, Any, TypeVar

from devices.core import Argument, Operation, command, operation
from devices.core.errors import BadValueError, ProtocolError, RefusedError
from devices.cryocon.instrument import Instrument
from devices.cryocon.register import register
from devices.drivers.cryocon_tables import CURVE_UNITS, CalibrationCurve, PidTable

CurveNumber = Annotated[int, Argument(limits=(1, 8), doc="1 is user sensor 61")]
SensorNumber = Annotated[int, Argument(limits=(0, 68), doc="0 none, 61-68 of the user")]
UserSensor = Annotated[int, Argument(limits=(61, 68), doc="Number of a user's sensor")]
TableNumber = Annotated[int, Argument(limits=(1, 6), doc="Number of a PID table")]
ConfigurationNumber = Annotated[int, Argument(limits=(1, 6), doc="Number of a stored configuration")]
Name = Annotated[str, Argument(text_limit=15)]
Lines = Annotated[str, Argument(text_limit=16384, doc="Lines as the manual has them, name first")]

Block = TypeVar("Block", CalibrationCurve, PidTable)


def _parsed(kind: type[Block], lines: str) -> Block:
    try:
        return kind.parse(lines.splitlines())
    except ProtocolError as error:
        # Not the instrument wrote this.
        raise BadValueError(str(error)) from None


class Storage(Instrument):
    """Curves, sensors, tables, configurations, data log."""

    log_enabled = register(
        bool, "data_log.enabled", access="read_write", group="Data log", doc="Whether the instrument's data log runs"
    )
    log_interval = register(
        float,
        "data_log.interval",
        access="read_write",
        unit="s",
        limits=(0.0, 86400.0),
        group="Data log",
        doc="Of the data log",
    )
    log_count = register(int, "data_log.count", group="Data log", doc="Records in the data log")

    # Calibration curves and sensors -------------------------------------------------------------------------------

    @operation()
    async def read_curve(self, run: Operation, number: CurveNumber) -> dict[str, Any]:
        """Read a user's calibration curve; the result has its lines."""
        with self.line_taken():
            return {"number": number, "lines": (await self.driver.read_curve(number)).lines()}

    @operation(level="expert")
    async def write_curve(self, run: Operation, number: CurveNumber, lines: Lines) -> dict[str, Any]:
        """Give a user's sensor its calibration curve and read it back; the instrument stores it for 5 s."""
        curve = _parsed(CalibrationCurve, lines)
        run.report(10.0, f"curve {number}: {len(curve.points)} points")
        with self.line_taken():
            await self.driver.write_curve(number, curve)
        return {"number": number, "name": curve.name, "points": len(curve.points)}

    @command(level="expert")
    async def read_sensor(self, number: SensorNumber) -> dict[str, Any]:
        """One entry of the sensor table: name, points of its curve, units, type, multiplier."""
        items = dict(self.driver.sensor(number).queries())
        answers = await self.driver.answers(*items.values())
        return {"number": number, **{name: answer.get() for name, answer in zip(items, answers, strict=True)}}

    @command(level="expert")
    async def set_sensor(
        self,
        number: UserSensor,
        name: Name,
        units: Annotated[str, Argument(text_limit=15, doc=", ".join(CURVE_UNITS))],
        type: Annotated[str, Argument(text_limit=15, doc="Input configuration, e.g. Diode, ACR, PTC100")],
        multiplier: float,
    ) -> None:
        """Change the head of a user's sensor; its curve stays."""
        sensor = self.driver.sensor(number)
        await sensor.name.write(name)
        await sensor.units.write(units)
        await sensor.type.write(type)
        await sensor.multiplier.write(multiplier)
        self.unread.update(self.inputs.values())

    # PID tables ---------------------------------------------------------------------------------------------------

    @command()
    async def list_pid_tables(self) -> dict[str, Any]:
        """The names of the PID tables, and how many entries each has."""
        headers = [self.driver.pid_table_header(number) for number in self.driver.model.pid_tables]
        answers = iter(await self.driver.answers(*(query for h in headers for query in (h.name, h.entries))))
        return {
            str(number): {"name": next(answers).get(), "entries": next(answers).get()}
            for number in self.driver.model.pid_tables
        }

    @operation()
    async def read_pid_table(self, run: Operation, number: TableNumber) -> dict[str, Any]:
        """Read a PID table; the result has its lines."""
        with self.line_taken():
            return {"number": number, "lines": (await self.driver.read_pid_table(number)).lines()}

    @operation(level="expert")
    async def write_pid_table(self, run: Operation, number: TableNumber, lines: Lines) -> dict[str, Any]:
        """Replace a PID table and read it back."""
        table = _parsed(PidTable, lines)
        with self.line_taken():
            now = await self.driver.write_pid_table(number, table)
        if len(now.entries) != len(table.entries):
            raise RefusedError(f"PID table {number}: {len(now.entries)} of {len(table.entries)} entries were taken")
        return {"number": number, "name": now.name, "entries": len(now.entries)}

    # Configurations -----------------------------------------------------------------------------------------------

    @command()
    async def list_configurations(self) -> dict[str, Any]:
        """The names of the stored configurations."""
        numbers = self.driver.model.configurations
        answers = await self.driver.answers(*(self.driver.configuration(number).name for number in numbers))
        return {str(number): answer.get() for number, answer in zip(numbers, answers, strict=True)}

    @command(level="expert")
    async def save_configuration(self, number: ConfigurationNumber, name: Name = "") -> None:
        """Store the present settings as one of the instrument's configurations, under a new name if one is given."""
        configuration = self.driver.configuration(number)
        await configuration.save()
        if name:
            await configuration.name.write(name)

    @command(level="expert", dangerous=True)
    async def restore_configuration(self, number: ConfigurationNumber) -> None:
        """Load one of the instrument's stored configurations: set points and types change."""
        await self.driver.configuration(number).restore()
        self.unread.update(self.components)

    # The data log -------------------------------------------------------------------------------------------------

    @operation()
    async def read_log(self, run: Operation) -> dict[str, Any]:
        """Read the whole data log: times by the instrument's clock, temperatures in display units (null: none)."""
        with self.line_taken():
            records = await self.driver.read_log()
        rows = [[r.time.isoformat(), *(t.value if t.valid else None for t in r.temperatures)] for r in records]
        run.report(100.0, f"{len(rows)} records")
        return {"records": rows}

    @command()
    async def clear_log(self) -> None:
        """Empty the instrument's data log."""
        await self.driver.data_log.clear()
        self.unread.add(self)

    @command(level="expert")
    async def reset_log(self) -> None:
        """Let the numbers of the data log's records begin anew."""
        await self.driver.data_log.reset()
