"""A Cryo-con to talk to: the simulated instrument on TCP, UDP and a pseudo-terminal, with faults on demand.

async with CryoConSimulator(model="24C", seed=1, speed=10.0) as simulator:
    ... connect to simulator.url ...
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Coroutine, Mapping
from datetime import datetime
from typing import Any, Self, cast

from devices.core.errors import BadValueError
from devices.drivers.cryocon_models import MODELS
from devices.simulators._pty_line import PtyLine
from devices.simulators.cryocon.commands import TREE
from devices.simulators.cryocon.instrument import CryoConInstrument
from devices.simulators.cryocon.syntax import Session

TICK = 0.02
"""How often simulated time moves on, in s of real time."""

LONGEST = 4096
"""No more than this is kept of a line whose end has not come, in bytes."""

MESSAGES_KEPT = 10_000


class CryoConSimulator:
    """One simulated instrument and its sockets.

    Args:
        model: ``18i``, ``22C``, ``24C`` or ``24``.
        seed: of all noise: the same seed and the same commands at the same simulated times give the same readings.
        speed: simulated seconds per second.
        start: what the instrument's clock shows at the beginning; the computer's own time if not given.
    Attributes:
        instrument: the state behind the sockets, for tests to look at and to change.
        messages: (time of the event loop in s, line) of every line that came, the newest last.
    """

    def __init__(self, model: str = "24C", seed: int = 1, speed: float = 1.0, *, start: datetime | None = None) -> None:
        if model not in MODELS:
            raise BadValueError(f"model = {model!r} is none of {', '.join(MODELS)}")
        if not 0.0 < speed <= 10_000.0:
            raise BadValueError(f"speed = {speed:g} is outside (0, 10000]")
        self.instrument = CryoConInstrument(model, seed, start or datetime.now())
        self.speed = speed
        self.messages: deque[tuple[float, str]] = deque(maxlen=MESSAGES_KEPT)
        self.muted = False
        self._delay = 0.0
        self._garbage: deque[bytes] = deque()
        self._server: asyncio.Server | None = None
        self._datagrams: asyncio.DatagramTransport | None = None
        self._clients: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._ptys: list[PtyLine] = []
        self._host = "127.0.0.1"

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def start(self, host: str = "127.0.0.1", port: int = 0, udp_port: int | None = None) -> None:
        """Listen on TCP, and on UDP when ``udp_port`` is given; 0 takes a free port."""
        self._host = host
        self._server = await asyncio.start_server(self._serve_tcp, host, port)
        if udp_port is not None:
            loop = asyncio.get_running_loop()
            transport, _ = await loop.create_datagram_endpoint(lambda: _Udp(self), local_addr=(host, udp_port))
            self._datagrams = transport
        self.keep(self._pass_time())

    async def stop(self) -> None:
        """Close everything."""
        if self._server is not None:
            self._server.close()
        self.drop_connections()
        if self._datagrams is not None:
            self._datagrams.abort()
        for pty in self._ptys:
            await pty.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def port(self) -> int:
        """The TCP port."""
        assert self._server is not None, "not started"
        return int(self._server.sockets[0].getsockname()[1])

    @property
    def udp_port(self) -> int:
        """The UDP port."""
        assert self._datagrams is not None, "started without UDP"
        return int(self._datagrams.get_extra_info("sockname")[1])

    @property
    def url(self) -> str:
        """Where the TCP socket is."""
        return f"tcp://{self._host}:{self.port}"

    async def open_pty(self) -> str:
        """Offer a serial line as well; the device name for the other end to open."""
        pty = PtyLine(Conversation(self).answers)
        self._ptys.append(pty)
        return pty.path

    # Faults, for tests to put in.

    def open_sensor(self, letter: str, is_open: bool = True) -> None:
        """Tear off, or mend, the wire of a sensor: ``-------``."""
        self.instrument.inputs[letter.upper()].open = is_open

    def leave_curve(self, letter: str, beyond: bool = True) -> None:
        """Bring a sensor out of, or back into, its calibration curve: ``.......``."""
        self.instrument.inputs[letter.upper()].beyond_curve = beyond

    def open_heater(self, loop: int, is_open: bool = True) -> None:
        """Tear off, or mend, the wire of a heater."""
        self.instrument.loops[loop].heater_open = is_open

    def set_temperature(self, letter: str, kelvin: float) -> None:
        """Bring the stage and the sensor of an input to a temperature at once."""
        stage = self.instrument.inputs[letter.upper()].stage
        stage.temperature = stage.sensed = kelvin
        self.instrument.inputs[letter.upper()].displayed = kelvin

    def mute(self, muted: bool = True) -> None:
        """Stop, or begin again, to answer anybody; what comes meanwhile is lost."""
        self.muted = muted

    def delay(self, seconds: float) -> None:
        """Answer every line so much later."""
        self._delay = seconds

    def garbage(self, data: bytes) -> None:
        """Send this instead of the next answer, as it is."""
        self._garbage.append(data)

    def garbage_over(self) -> None:
        """Send the true answers again."""
        self._garbage.clear()

    def chatter(self, data: bytes) -> None:
        """Send something to every TCP client that nobody asked for."""
        for writer in self._clients:
            writer.write(data)

    def drop_connections(self) -> None:
        """Hang up on every TCP client."""
        for writer in list(self._clients):
            writer.transport.abort()

    async def _pass_time(self) -> None:
        loop = asyncio.get_running_loop()
        last = loop.time()
        while True:
            await asyncio.sleep(TICK)
            now = loop.time()
            # A computer that was asleep does not catch up.
            self.instrument.advance(min(now - last, 1.0) * self.speed)
            last = now

    async def _serve_tcp(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._clients.add(writer)
        conversation = Conversation(self)
        try:
            while data := await reader.read(LONGEST):
                async for answer in conversation.answers(data):
                    writer.write(answer)
                    await writer.drain()
        except ConnectionError:
            pass  # the client has gone, which is its right
        except asyncio.CancelledError:
            pass  # the loop ends; asyncio's streams would log a traceback for a handler that says so
        finally:
            self._clients.discard(writer)
            writer.close()

    def keep(self, work: Coroutine[Any, Any, None]) -> None:
        """Run something until it ends or the simulator stops."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def reply(self, session: Session[CryoConInstrument], line: bytes) -> bytes | None:
        """What goes back for one line, faults included."""
        text = line.decode("latin-1").strip("\r\n")
        self.messages.append((asyncio.get_running_loop().time(), text))
        if self.muted:
            return None
        answer = session.line(text)
        if self._delay:
            await asyncio.sleep(self._delay)
        if answer is not None and self._garbage:
            return self._garbage.popleft()
        return None if answer is None else answer.encode("latin-1", "replace") + b"\r\n"


class Conversation:
    """The bytes of one client, cut into lines."""

    def __init__(self, simulator: CryoConSimulator) -> None:
        self._simulator = simulator
        self._session = Session(simulator.instrument, TREE)
        self._rest = b""

    async def answers(self, data: bytes) -> AsyncIterator[bytes]:
        """The answers to the lines that these bytes complete."""
        *lines, rest = (self._rest + data).split(b"\n")
        # Of a line that never ends only the beginning is kept, which is too long to be taken.
        self._rest = rest[:LONGEST]
        for line in lines:
            if (answer := await self._simulator.reply(self._session, line)) is not None:
                yield answer


class _Udp(asyncio.DatagramProtocol):
    """One datagram, one answer; a command without a query is answered by an empty line."""

    def __init__(self, simulator: CryoConSimulator) -> None:
        self._simulator = simulator

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str | Any, int]) -> None:
        self._simulator.keep(self._answer(data, addr))

    async def _answer(self, data: bytes, addr: tuple[str | Any, int]) -> None:
        conversation = Conversation(self._simulator)
        answer = b"".join([part async for part in conversation.answers(data.rstrip(b"\r\n") + b"\n")])
        if answer or not self._simulator.muted:
            self._transport.sendto(answer or b"\r\n", addr)


async def run(port: int, options: Mapping[str, object]) -> None:
    """Simulate until cancelled, on TCP ``port`` and UDP ``port`` + 1, as the instrument itself has it.

    Args:
        options: ``model`` (default 24C), ``seed`` (1), ``speed`` (1.0: simulated seconds per second), ``host``.
    Raises:
        BadValueError: an option is unknown, or its value wrong.
        OSError: a port is taken.
    """
    known: dict[str, type] = {"model": str, "seed": int, "speed": float, "host": str}
    values: dict[str, Any] = {"model": "24C", "seed": 1, "speed": 1.0, "host": "127.0.0.1"}
    for name, value in options.items():
        if name not in known:
            raise BadValueError(f"option {name!r} of the cryocon simulator is none of {', '.join(known)}")
        try:
            values[name] = known[name](value)
        except (TypeError, ValueError):
            raise BadValueError(f"{name} = {value!r} is not a {known[name].__name__}") from None
    host = values.pop("host")
    simulator = CryoConSimulator(**values)
    try:
        await simulator.start(host, port, port + 1)
        await asyncio.Event().wait()
    finally:
        await simulator.stop()
