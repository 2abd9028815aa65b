"""Cryo-con temperature controllers 22C, 24C, 24 and the monitor 18i, over TCP, UDP or a serial line.

driver = CryoConDriver("tcp://192.168.1.5:5000")
await driver.connect()
await driver.loops[1].setpoint.write(77.5)
snapshot = await driver.poll()
kelvin = snapshot.inputs["A"].temperature.get()
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from typing import Any

from devices.core.errors import NotConnectedError, ProtocolError, RangeError, RefusedError
from devices.drivers.cryocon_items import Action, Query
from devices.drivers.cryocon_line import CommandLine, Turn
from devices.drivers.cryocon_models import Identity, LoopKind, Model, model_named, parse_identity
from devices.drivers.cryocon_protocol import Answer, answer, is_nack, pack, switch
from devices.drivers.cryocon_snapshot import InputSnapshot, LoopSnapshot, Snapshot
from devices.drivers.cryocon_subsystems import (
    Configuration,
    DataLog,
    Input,
    Loop,
    Mail,
    Network,
    Overtemperature,
    PidTableHeader,
    Relay,
    Sensor,
    Statistics,
    System,
)
from devices.drivers.cryocon_tables import CalibrationCurve, LogRecord, PidTable, parse_log

STORE_SECONDS = 5.0
"""How long the instrument works at a curve it was given before it takes the next one."""

BLOCK_SPACING = 0.02
"""The pause after each line of a curve or table, in s: the line has no handshake."""


class CryoConDriver:
    """One instrument.

    Args:
        url: as ``open_link`` takes it, e.g. ``tcp://host:5000``, ``udp://host:5001``, ``serial:///dev/ttyUSB0``.
        timeout: the bound of one message, in s.
        spacing: the pause between two messages, in s; the instrument asks for 0.1.
        model: the model to take it for when its ``*IDN?`` names none that is known here.
    Attributes:
        inputs, loops, relays: the subsystems by letter or number, as the model has them; empty until connected.
    """

    def __init__(self, url: str, *, timeout: float = 2.0, spacing: float = 0.1, model: str | None = None) -> None:
        self.url = url
        self._assumed = model
        self._line = CommandLine(url, timeout=timeout, spacing=spacing)
        self._identity: Identity | None = None
        self._model: Model | None = None
        self._curve_stored_at = 0.0
        self.inputs: Mapping[str, Input] = {}
        self.loops: Mapping[int, Loop] = {}
        self.relays: Mapping[int, Relay] = {}
        self.control = Query(self, "", "CONTrol", switch().parse)
        self.overtemperature = Overtemperature(self, "OVERtemp")
        self.system = System(self, "SYSTem")
        self.statistics = Statistics(self, "STATS")
        self.data_log = DataLog(self, "DLOG")
        self.network = Network(self, "NETWork")
        self.reset = Action(self, "", "*RST")
        self.clear_status = Action(self, "", "*CLS")

    @property
    def connected(self) -> bool:
        """Whether the link is open as far as is known."""
        return self._line.connected

    @property
    def identity(self) -> Identity:
        """Who answered when the link was last opened."""
        if self._identity is None:
            raise NotConnectedError(f"{self.url}: not connected yet, so not identified")
        return self._identity

    @property
    def model(self) -> Model:
        """What the instrument has."""
        if self._model is None:
            raise NotConnectedError(f"{self.url}: not connected yet, so not identified")
        return self._model

    async def connect(self) -> Identity:
        """Open the link (again) and learn which model is there.

        Raises:
            NotConnectedError, TimeoutError: nobody there, or nobody answers.
            ProtocolError: it is no Cryo-con of a known model.
        """
        text = await self._line.open()
        try:
            self._identity = parse_identity(text)
            self._model = model_named(self._assumed or self._identity.model)
        except ProtocolError as error:
            await self._line.close()
            raise ProtocolError(f"{self.url}: {error}") from None
        self.inputs = {letter: Input(self, f"INPut {letter}") for letter in self._model.inputs}
        self.loops = {
            number: Loop(self, f"LOOP {number}", drives_heater=loop.kind is LoopKind.HEATER)
            for number, loop in self._model.loops.items()
        }
        self.relays = {number: Relay(self, number) for number in self._model.relays}
        return self._identity

    async def close(self) -> None:
        """Close the link; waiting callers get NotConnectedError."""
        await self._line.close()

    async def poll(self, inputs: Iterable[str] | None = None, loops: Iterable[int] | None = None) -> Snapshot:
        """Ask for inputs and loops, by default all, in as few lines as possible; writes go ahead of lines that wait."""
        letters = set(self.inputs if inputs is None else inputs)
        numbers = list(self.loops if loops is None else loops)
        queries: list[Query[Any]] = [self.control] if self.model.controls else []
        for letter, i in self.inputs.items():
            queries += [i.temperature, i.units, i.sensor_reading, i.alarm] if letter in letters else [i.units]
        for loop in map(self.loops.__getitem__, numbers):
            queries += [loop.setpoint, loop.source, loop.type, loop.range, loop.output_power, loop.ramping]
            # An analog output has no read-back, and without that question a 22C is asked in one line.
            queries += [loop.heater_readback] if loop.drives_heater else []
        answers, timestamp = await self.ask(queries, Turn.POLL)
        each = iter(answers)
        control = next(each) if self.model.controls else None
        found, units = {}, {}
        for letter in self.inputs:
            if letter in letters:
                found[letter] = InputSnapshot(*islice(each, 4))
                units[letter] = found[letter].units
            else:
                units[letter] = next(each)
        regulated = {n: LoopSnapshot(*islice(each, 6 + self.loops[n].drives_heater)) for n in numbers}
        return Snapshot(timestamp, control, units, found, regulated)

    async def answers(self, *queries: Query[Any]) -> list[Answer[Any]]:
        """Ask many things in as few lines as possible; one refused question never spoils the others' answers."""
        return (await self.ask(queries))[0]

    async def ask(self, queries: Sequence[Query[Any]], turn: Turn = Turn.QUERY) -> tuple[list[Answer[Any]], float]:
        """As :meth:`answers`, in another's turn; also when the first line of answers came, Unix time in s."""
        found: list[Answer[Any]] = []
        timestamp = 0.0
        for message, asked in pack(queries):
            texts = await self._texts(message, asked, turn)
            timestamp = timestamp or time.time()
            found += [answer(query.name, text, query.parse) for query, text in zip(asked, texts, strict=True)]
        return found, timestamp

    async def _texts(self, message: str, asked: list[Query[Any]], turn: Turn) -> list[str]:
        try:
            return await self._line.ask(message, len(asked), turn)
        except RefusedError:
            if len(asked) == 1:
                raise
        # Firmware that refuses a line as a whole does not say what of it; asked one by one, the others have answers.
        return [(await self._line.ask(single, 1, turn))[0] for query in asked for single, _ in pack([query])]

    async def put(self, command: str, query: str, name: str) -> str:
        """Send a command and the query behind it in one message; the query's answer. NACK is RefusedError."""
        return await self._line.put(f"{command};:{query}", name)

    async def command(self, text: str) -> None:
        """Send any command, e.g. ``input A:units C``.

        Raises:
            RefusedError: the instrument answered NACK; the text names the command.
        """
        await self.put(text.strip().rstrip(";"), "*OPC?", text)

    async def query(self, text: str) -> str:
        """Send any question and return the line that comes back.

        Raises:
            RefusedError: it is NACK; the text names the question.
        """
        reply = await self._line.query(text)
        if is_nack(reply):
            raise RefusedError(f"{self.url}: {text} was refused (NACK)")
        return reply

    async def control_on(self) -> bool:
        """Put all loops into control; whether they are, which the interlock may prevent."""
        return answer("CONTrol", await self.put("CONT", "CONT?", "CONTrol"), self.control.parse).get()

    async def control_off(self) -> bool:
        """Take all loops out of control; whether they still are in it."""
        return answer("CONTrol", await self.put("STOP", "CONT?", "STOP"), self.control.parse).get()

    def configuration(self, number: int) -> Configuration:
        """One stored configuration."""
        return Configuration(self, f"CONFig {_within('configuration', number, self.model.configurations)}")

    def sensor(self, index: int) -> Sensor:
        """One entry of the sensor table."""
        return Sensor(self, f"SENSorix {_within('sensor', index, self.model.sensors)}")

    def mail(self, letter: str) -> Mail:
        """The mail that the alarms of one input send."""
        if letter not in self.inputs:
            raise RangeError(f"input = {letter!r} is none of {', '.join(self.inputs)}")
        return Mail(self, f"MAIL {letter}")

    def pid_table_header(self, index: int) -> PidTableHeader:
        """The name and length of one PID table."""
        return PidTableHeader(self, f"PIDTable {_within('PID table', index, self.model.pid_tables)}")

    async def read_curve(self, index: int) -> CalibrationCurve:
        """The calibration curve of user sensor ``index`` (1 for sensor 61)."""
        _within("curve", index, self.model.user_curves)
        return CalibrationCurve.parse(await self._line.read_block(f"CALCUR? {index}"))

    async def write_curve(self, index: int, curve: CalibrationCurve, *, store: float = STORE_SECONDS) -> None:
        """Give a user sensor its calibration curve and read it back; takes more than ``store`` s.

        Raises:
            ProtocolError: the instrument now holds another curve: it did not understand this one.
        """
        _within("curve", index, self.model.user_curves)
        await asyncio.sleep(self._curve_stored_at - asyncio.get_running_loop().time())
        try:
            await self._line.write_block(f"CALCUR {index}", curve.lines(), BLOCK_SPACING)
        finally:
            self._curve_stored_at = asyncio.get_running_loop().time() + store
        await asyncio.sleep(store)
        if not curve.agrees_with(await self.read_curve(index)):
            raise ProtocolError(f"{self.url}: curve {index} differs from the curve {curve.name!r} that was sent")

    async def read_pid_table(self, index: int) -> PidTable:
        """One PID table."""
        _within("PID table", index, self.model.pid_tables)
        return PidTable.parse(await self._line.read_block(f"PIDT {index}:TABL?"))

    async def write_pid_table(self, index: int, table: PidTable) -> PidTable:
        """Replace one PID table; what the instrument says it is now (it deletes entries it cannot read)."""
        _within("PID table", index, self.model.pid_tables)
        await self._line.write_block(f"PIDT {index}:TABL", table.lines(), BLOCK_SPACING)
        return await self.read_pid_table(index)

    async def read_log(self) -> list[LogRecord]:
        """The whole data log, oldest record first."""
        return parse_log(await self._line.read_block("DLOG:READ?"))


def _within(what: str, value: int, bounds: range) -> int:
    if value not in bounds:
        allowed = f"[{bounds[0]}, {bounds[-1]}]" if bounds else "nothing: this model has none"
        raise RangeError(f"{what} = {value} is outside {allowed}")
    return value
