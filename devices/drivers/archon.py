"""The STA Archon CCD controller: its commands, its configuration memory, its frame buffers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from devices.core.errors import BadValueError, NotConnectedError, ProtocolError, RangeError, TimeoutError
from devices.drivers.archon_config import LARGEST_PARAMETER, ArchonConfiguration, apply_commands
from devices.drivers.archon_connection import ArchonConnection
from devices.drivers.archon_status import (
    BLOCK,
    Buffer,
    FrameStatus,
    Power,
    Status,
    SystemInfo,
    parse_frame,
    parse_status,
    parse_system,
    parse_timer,
)

APPLY_TIMEOUT = 10.0
"""Of commands by which the controller takes over its configuration, s."""

STALL_TIMEOUT = 3.0
"""Longest time without a byte during a fetch, s."""

SHORTEST_POLL, LONGEST_POLL = 0.001, 0.05
"""Between two questions for a frame, s."""


@dataclass(frozen=True)
class Upload:
    """What became of a configuration.

    Attributes:
        lines: all lines of the configuration.
        changed: keys of the lines that the controller did not have already.
        anew: there were other lines before; everything has to be applied.
    """

    lines: int
    changed: tuple[str, ...]
    anew: bool


class ArchonDriver:
    """One Archon.

    Errors of every method that talks to it: NotConnectedError (connect again), TimeoutError, RefusedError (``?``),
    ProtocolError. Commands of different callers may overlap; the controller answers them in order.
    """

    def __init__(self, host: str, port: int = 4242, *, timeout: float = 2.0) -> None:
        self.host = host
        self.port = port
        self.timeout = timeout
        self._connection: ArchonConnection | None = None
        self._fetching = asyncio.Lock()

    async def connect(self) -> None:
        """Open a new connection in the place of an old one."""
        await self.close()
        self._connection = await ArchonConnection.open(self.host, self.port, self.timeout)

    async def close(self) -> None:
        """Close the connection, if there is one."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    @property
    def connected(self) -> bool:
        return self._connection is not None and self._connection.connected

    async def message(self, command: str, timeout: float | None = None) -> str:
        """Any command; its reply."""
        return await self._link.message(command, timeout)

    # What it says of itself

    async def system(self) -> SystemInfo:
        """Backplane and modules."""
        return parse_system(await self.message("SYSTEM"))

    async def status(self) -> Status:
        """Power, temperatures, voltages and currents."""
        return parse_status(await self.message("STATUS"))

    async def frame(self) -> FrameStatus:
        """The frame buffers."""
        return parse_frame(await self.message("FRAME"))

    async def timer(self) -> int:
        """Its clock, ticks of 10 ns."""
        return parse_timer(await self.message("TIMER"))

    async def log_lines(self, most: int = 1000) -> list[str]:
        """Lines of its log that nobody has fetched yet."""
        lines: list[str] = []
        while len(lines) < most and (line := await self.message("FETCHLOG")) != "(null)":
            lines.append(line)
        return lines

    # Configuration

    async def read_lines(self, count: int) -> list[str]:
        """The first lines of its configuration memory; "": there is none."""
        return await self._link.messages([f"RCONFIG{number:04X}" for number in range(count)])

    async def load_configuration(self, configuration: ArchonConfiguration) -> Upload:
        """Bring its configuration memory to this; nothing is applied.

        What it has already is not written again; what was written is read back and compared.

        Raises:
            ProtocolError: it holds something else than was written.
        """
        lines = configuration.lines
        await self.message("POLLOFF")  # it answers faster when it does not look after its modules
        try:
            *held, beyond = await self.read_lines(len(lines) + 1)
            if beyond:
                await self.message("CLEARCONFIG")
                held = [""] * len(lines)
            wrong = [number for number, line in enumerate(lines) if held[number] != line]
            await self._link.messages([f"WCONFIG{number:04X}{lines[number]}" for number in wrong])
            back = await self._link.messages([f"RCONFIG{number:04X}" for number in wrong])
            for number, line in zip(wrong, back, strict=True):
                if line != lines[number]:
                    raise ProtocolError(f"configuration line {number}: {lines[number]!r} was written, {line!r} is held")
        finally:
            if self.connected:
                await self.message("POLLON")
        return Upload(
            len(lines), tuple(lines[number].partition("=")[0] for number in wrong), bool(beyond or not any(held))
        )

    async def write_values(self, configuration: ArchonConfiguration, values: Mapping[str, str]) -> None:
        """Change lines, in the controller's memory and here; nothing is applied."""
        numbers = [configuration.line_number(key) for key in values]
        lines = [configuration.set(key, value) for key, value in values.items()]
        await self._link.messages([f"WCONFIG{n:04X}{line}" for n, line in zip(numbers, lines, strict=True)])

    async def set_parameters(self, configuration: ArchonConfiguration, values: Mapping[str, int]) -> None:
        """Change parameters of the timing script, in the controller's memory, in the running script and here."""
        commands = []
        for name, value in values.items():
            number, line = configuration.set_parameter(name, value)
            commands += [f"WCONFIG{number:04X}{line}", f"LOADPARAM {name}"]
        await self._link.messages(commands)

    async def load_parameter(self, name: str, value: int) -> None:
        """Change a parameter of the running script alone.

        Raises:
            RangeError: it does not fit into 20 bits.
        """
        if not 0 <= value <= LARGEST_PARAMETER:
            raise RangeError(f"{name} = {value} is outside [0, {LARGEST_PARAMETER}]")
        await self.message(f"FASTLOADPARAM {name} {value}")

    async def load_parameters(self) -> None:
        """Take all parameters over from configuration memory."""
        await self.message("LOADPARAMS", APPLY_TIMEOUT)

    async def load_timing(self) -> None:
        """Take the timing script and its parameters over, and begin it anew."""
        await self.message("LOADTIMING", APPLY_TIMEOUT)

    async def apply(self, upload: Upload) -> None:
        """Take over what an upload changed, and no more: the power of the detector stays on where it can."""
        commands = ["APPLYALL"] if upload.anew else apply_commands(upload.changed)
        await self._link.messages(commands, APPLY_TIMEOUT)

    async def apply_all(self) -> None:
        """Take everything over; the detector's power goes off."""
        await self.message("APPLYALL", APPLY_TIMEOUT)

    async def apply_module(self, slot: int) -> None:
        """Take one module's part over."""
        await self.message(f"APPLYMOD{slot}", APPLY_TIMEOUT)

    async def apply_cds(self) -> None:
        """Take sampling and frame format over."""
        await self.message("APPLYCDS", APPLY_TIMEOUT)

    async def apply_system(self) -> None:
        """Take the system's part over (trigger output)."""
        await self.message("APPLYSYSTEM", APPLY_TIMEOUT)

    # Power and timing

    async def set_power(self, on: bool, timeout: float = 10.0) -> None:
        """Switch the detector's power and wait for it.

        Raises:
            TimeoutError: it is not on (with POWERGOOD) or off after ``timeout`` s; the text says what it is.
        """
        await self.message("POWERON" if on else "POWEROFF")
        wanted = (Power.ON,) if on else (Power.OFF, Power.NOT_CONFIGURED)
        end = asyncio.get_running_loop().time() + timeout
        while (status := await self.status()).power not in wanted or (on and not status.power_good):
            if asyncio.get_running_loop().time() >= end:
                good = "good" if status.power_good else "bad"
                raise TimeoutError(f"power is {status.power.name} ({good}), not {wanted[0].name}, after {timeout:g} s")
            await asyncio.sleep(LONGEST_POLL)

    async def hold_timing(self) -> None:
        """Stop the timing script where it is."""
        await self.message("HOLDTIMING")

    async def release_timing(self) -> None:
        """Let it go on."""
        await self.message("RELEASETIMING")

    async def reset_timing(self) -> None:
        """Begin the timing script at its first line; a frame that is being written is never complete."""
        await self.message("RESETTIMING")

    # Frames

    async def wait_frame(
        self,
        known: Mapping[int, int],
        expected_end: float,
        timeout: float,
        progress: Callable[[Buffer], None] | None = None,
    ) -> Buffer:
        """Wait for a frame that is complete and was not there before.

        Args:
            known: buffer -> frame in it, complete ones only, before.
            expected_end: when it may be complete, s of the loop's clock; questions come slower the farther it is.
            timeout: s without any progress of the frame after ``expected_end``.
            progress: called with the buffer that is being written.
        """
        loop = asyncio.get_running_loop()
        last = loop.time(), 0
        end = max(expected_end, loop.time()) + timeout
        while True:
            frames = await self.frame()
            for buffer in sorted(frames.buffers, key=lambda b: b.frame, reverse=True):
                if buffer.complete and known.get(buffer.number) != buffer.frame:
                    return buffer
            now = loop.time()
            writing = next((b for b in frames.buffers if b.number == frames.write_buffer and not b.complete), None)
            if writing is not None and writing.pixels > last[1]:
                end = max(end, now + timeout)
                rate = (writing.pixels - last[1]) / max(now - last[0], 1e-6)
                expected_end = now + (writing.width * writing.height - writing.pixels) / rate
                last = now, writing.pixels
                if progress is not None:
                    progress(writing)
            if now >= end:
                raise TimeoutError(f"no frame is complete {timeout:g} s after it should be or went on")
            await asyncio.sleep(min(max((expected_end - now) / 4, SHORTEST_POLL), LONGEST_POLL))

    @asynccontextmanager
    async def locked(self, number: int) -> AsyncIterator[None]:
        """Keep a buffer from being overwritten."""
        try:
            await self.message(f"LOCK{number}")
            yield
        finally:
            # Also after a cancellation: the word goes out at once, its reply matters to nobody.
            if self._connection is not None:
                self._connection.post("LOCK0")

    async def fetch(
        self,
        buffer: Buffer,
        progress: Callable[[int], None] | None = None,
        into: NDArray[np.uint8] | None = None,
    ) -> NDArray[np.uint16] | NDArray[np.uint32]:
        """Take a frame, locked meanwhile.

        Args:
            progress: called with the bytes that came.
            into: uint8, contiguous, at least ``buffer.blocks`` * 1024; else memory is made. The frame is a view of it.
        Returns:
            (height, width), uint16 or uint32.
        """
        size = buffer.blocks * BLOCK
        if not buffer.bytes:
            raise BadValueError(f"buffer {buffer.number} is empty")
        if into is None:
            into = np.empty(size, np.uint8)
        elif into.size < size:
            raise BadValueError(f"into has {into.size} bytes, less than the {size} of the frame")
        called = None if progress is None else (lambda blocks: progress(min(blocks * BLOCK, buffer.bytes)))
        async with self._fetching, self.locked(buffer.number):
            command = f"FETCH{buffer.base:08X}{buffer.blocks:08X}"
            await self._link.fetch(command, into[:size], STALL_TIMEOUT, called)
        kind = np.dtype("<u2" if buffer.sample_bytes == 2 else "<u4")
        pixels: NDArray[np.uint16] = into[: buffer.bytes].view(kind).reshape(buffer.height, buffer.width)
        return pixels

    @property
    def _link(self) -> ArchonConnection:
        if self._connection is None:
            raise NotConnectedError(f"archon://{self.host}:{self.port}: not connected")
        return self._connection
