"""A thermostat on a TCP port that can be switched off, fall silent or talk nonsense, and its device."""

from __future__ import annotations

import asyncio
import builtins
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from devices.core import Device, Properties, attribute, command, poll, setting
from devices.core.errors import NotConnectedError, ProtocolError, TimeoutError


class Hardware:
    """Answers lines: ``T?`` a temperature, ``P?`` a pressure, ``S?`` the set point, ``S 90`` sets it."""

    def __init__(self) -> None:
        # This one never listens: it keeps the port ours while the hardware is off, and connections are refused.
        self._reserved = socket.socket()
        self._reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        self._reserved.bind(("127.0.0.1", 0))
        self.port: int = self._reserved.getsockname()[1]
        self._server: asyncio.Server | None = None
        self._clients: set[asyncio.StreamWriter] = set()
        self.setpoint = 100.0
        #: What is answered instead: a text, "" for silence.
        self.instead: dict[str, str] = {}
        self.asked: list[str] = []
        self.connections = 0

    async def switch_on(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port, reuse_port=True)

    async def switch_off(self) -> None:
        """The power is off: every connection breaks, and new ones are refused."""
        if self._server is not None:
            self._server.close()
            for writer in self._clients:
                writer.close()
            await self._server.wait_closed()
            self._server = None

    async def close(self) -> None:
        await self.switch_off()
        self._reserved.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._clients.add(writer)
        try:
            while line := (await reader.readline()).decode().strip():
                self.asked.append(line)
                if answer := self._answer(line):
                    writer.write(answer.encode() + b"\n")
                    await writer.drain()
        except ConnectionError:
            pass  # the client left in the middle of a line
        finally:
            self._clients.discard(writer)
            writer.close()

    def _answer(self, line: str) -> str:
        key, _, value = line.partition(" ")
        if key in self.instead:
            return self.instead[key]
        if value:
            self.setpoint = float(value)
            return "OK"
        return {"T?": "77.5", "P?": "0.25", "S?": str(self.setpoint), "ID?": "THERMOSTAT 7"}[key]


@asynccontextmanager
async def hardware(on: bool = True) -> AsyncIterator[Hardware]:
    thing = Hardware()
    if on:
        await thing.switch_on()
    try:
        yield thing
    finally:
        await thing.close()


@dataclass(frozen=True)
class ThermostatProperties(Properties):
    """Where it is."""

    port: int = setting(doc="Its TCP port")


class Thermostat(Device):
    """A thermostat with two sensors and a heater."""

    properties_class = ThermostatProperties
    properties: ThermostatProperties

    identity = attribute(str)
    temperature = attribute(float, unit="K")
    pressure = attribute(float, unit="mbar")
    heater = attribute(float, unit="K", limits=(0.0, 400.0), setpoint_follows=True, memorized="show")
    ceiling = attribute(float, unit="K", memorized="apply", doc="Kept in the hardware's set point, too")
    note = attribute(str, access="read_write", memorized="show", doc="A setting of the device itself")
    result = attribute(float, doc="Published by a command alone")

    answer_within = 0.2

    def __init__(self, port: int, **properties: Any) -> None:
        given: Mapping[str, Any] = {"port": port, **properties}
        super().__init__("test/thermostat/1", given)
        self._line = asyncio.Lock()
        self._writer: asyncio.StreamWriter | None = None
        self.connects = self.disconnects = 0

    async def connect(self) -> None:
        self.connects += 1
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self.properties.port)
        self.identity.publish(await self.ask("ID?"))

    async def disconnect(self) -> None:
        self.disconnects += 1
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    async def ask(self, line: str) -> str:
        async with self._line:
            if self._writer is None:
                raise NotConnectedError("the thermostat is not connected")
            self._writer.write(line.encode() + b"\n")
            try:
                answer = await asyncio.wait_for(self._reader.readline(), self.answer_within)
            except builtins.TimeoutError:
                raise TimeoutError(f"no answer to {line} within {self.answer_within} s") from None
            if not answer:
                raise NotConnectedError("the thermostat closed the connection")
            return answer.decode().strip()

    async def number(self, line: str) -> float:
        answer = await self.ask(line)
        try:
            return float(answer)
        except ValueError:
            raise ProtocolError(f"{line} was answered by {answer!r}, not by a number") from None

    @temperature.read(0.01)
    async def read_temperature(self) -> float:
        return await self.number("T?")

    @poll(0.01)
    async def poll_pressure_and_heater(self) -> None:
        self.heater.publish(await self.number("S?"))
        self.pressure.publish(await self.number("P?"))

    @heater.write
    async def write_heater(self, kelvin: float) -> None:
        if await self.ask(f"S {kelvin}") != "OK":
            raise ProtocolError("the heater did not take it")

    @ceiling.write
    async def write_ceiling(self, kelvin: float) -> None:
        await self.ask(f"S {kelvin}")
        self.ceiling.publish(kelvin)

    @command()
    async def measure(self) -> float:
        """Ask for the temperature once more."""
        self.result.publish(await self.number("T?"))
        return self.result.value
