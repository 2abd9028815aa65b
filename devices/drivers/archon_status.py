"""What an Archon says of itself: SYSTEM, STATUS and FRAME as values with units."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum, IntEnum
from typing import TypeVar

from devices.core.errors import ProtocolError

TICK = 1e-8
"""Of the controller's clock, s."""

BLOCK = 1024
"""Bytes of one block of a fetch."""

T = TypeVar("T")
_TEMPERATURE = re.compile(r"(BACKPLANE_TEMP|MOD\d+/TEMP[A-C]?)$")


class ModuleType(IntEnum):
    """What sits in a slot."""

    NONE = 0
    DRIVER = 1
    AD = 2
    LVBIAS = 3
    HVBIAS = 4
    HEATER = 5
    HS = 7
    HVXBIAS = 8
    LVXBIAS = 9
    LVDS = 10
    HEATERX = 11
    XVBIAS = 12
    ADF = 13
    ADX = 14
    ADLN = 15
    UNKNOWN = 255


class Power(Enum):
    """State of the power to the detector."""

    UNKNOWN = 0
    NOT_CONFIGURED = 1
    OFF = 2
    INTERMEDIATE = 3
    ON = 4
    STANDBY = 5


_MODULE_TYPES = {kind.value for kind in ModuleType}


@dataclass(frozen=True)
class Module:
    """One module of the controller."""

    slot: int
    type: ModuleType
    version: str
    id: str


@dataclass(frozen=True)
class SystemInfo:
    """Answer of SYSTEM."""

    backplane_type: str
    version: str
    id: str
    modules: tuple[Module, ...]
    fields: Mapping[str, str]


@dataclass(frozen=True)
class Status:
    """Answer of STATUS.

    Attributes:
        count: of the samplings of all this; the same twice: nothing new.
        power_good: the supplies are within their bounds. overheat: the controller is too hot.
        temperatures: Celsius; ``BACKPLANE_TEMP``, ``MOD1/TEMP``, of heater modules also ``MOD10/TEMPA``.
        values: every number of the answer, volts (``P5V_V``), amperes (``P5V_I``) and so on.
    """

    valid: bool
    count: int
    log_lines: int
    power: Power
    power_good: bool
    overheat: bool
    temperatures: Mapping[str, float]
    values: Mapping[str, float]


@dataclass(frozen=True)
class Buffer:
    """One frame buffer.

    Attributes:
        number: from 1. base: its address. frame: count of the frame in it.
        width, height: pixels. lines: of each tap, read so far.
        is_split: its upper half is read at the same time as the lower one, so that two rows come with each line.
        timestamp, rising, falling: ticks of 10 ns: begin of the frame, edges of the integration signal.
    """

    number: int
    sample_bytes: int
    complete: bool
    base: int
    frame: int
    width: int
    height: int
    lines: int
    is_split: bool
    timestamp: int
    rising: int
    falling: int

    @property
    def bytes(self) -> int:
        return self.width * self.height * self.sample_bytes

    @property
    def pixels(self) -> int:
        """Read so far; those of a line that is not complete do not count (BUFnPIXELS is of that line alone)."""
        return min(self.lines * (2 if self.is_split else 1), self.height) * self.width

    @property
    def blocks(self) -> int:
        """Blocks of 1024 bytes that hold it."""
        return -(-self.bytes // BLOCK)

    @property
    def exposure_seconds(self) -> float:
        """Between the edges of the integration signal."""
        return (self.falling - self.rising) * TICK


@dataclass(frozen=True)
class FrameStatus:
    """Answer of FRAME: the clock in ticks of 10 ns, the buffers locked for reading and written (0: none)."""

    timer: int
    read_buffer: int
    write_buffer: int
    buffers: tuple[Buffer, ...]

    @property
    def newest(self) -> Buffer | None:
        """The complete frame that began last."""
        return max((b for b in self.buffers if b.complete), key=lambda b: (b.frame, b.timestamp), default=None)


def fields(command: str, answer: str) -> dict[str, str]:
    """``A=1 B=2`` -> {"A": "1", "B": "2"}.

    Raises:
        ProtocolError: a word is not of this form.
    """
    found = {}
    for word in answer.split():
        key, equals, value = word.partition("=")
        if not (key and equals):
            raise ProtocolError(f"{command}: {word!r} is not of the form KEY=VALUE in {answer[:80]!r}")
        found[key.upper()] = value
    return found


def parse_system(answer: str) -> SystemInfo:
    """Raises: ProtocolError."""
    said = fields("SYSTEM", answer)
    modules = []
    for slot in range(1, 17):
        number = _field(said, "SYSTEM", f"MOD{slot}_TYPE", int, 0)
        if number:
            kind = ModuleType(number) if number in _MODULE_TYPES else ModuleType.UNKNOWN
            modules.append(Module(slot, kind, said.get(f"MOD{slot}_VERSION", ""), said.get(f"MOD{slot}_ID", "")))
    return SystemInfo(
        said.get("BACKPLANE_TYPE", ""),
        said.get("BACKPLANE_VERSION", ""),
        said.get("BACKPLANE_ID", ""),
        tuple(modules),
        said,
    )


def parse_status(answer: str) -> Status:
    """Raises: ProtocolError."""
    said = fields("STATUS", answer)
    values = {key: _field(said, "STATUS", key, float) for key in said}
    power = _field(said, "STATUS", "POWER", int)
    try:
        state = Power(power)
    except ValueError:
        raise ProtocolError(f"STATUS: POWER = {power} is none of 0 to 5") from None
    return Status(
        bool(_field(said, "STATUS", "VALID", int, 1)),
        _field(said, "STATUS", "COUNT", int, 0),
        _field(said, "STATUS", "LOG", int, 0),
        state,
        bool(_field(said, "STATUS", "POWERGOOD", int)),
        bool(_field(said, "STATUS", "OVERHEAT", int, 0)),
        {key: value for key, value in values.items() if _TEMPERATURE.match(key)},
        values,
    )


def parse_frame(answer: str) -> FrameStatus:
    """Raises: ProtocolError."""
    said = fields("FRAME", answer)

    def decimal(key: str) -> int:
        return _field(said, "FRAME", key, int)

    def ticks(key: str) -> int:
        return _field(said, "FRAME", key, lambda text: int(text, 16), 0)

    buffers = []
    for n in range(1, 4):
        if f"BUF{n}FRAME" not in said:
            continue
        buffers.append(
            Buffer(
                number=n,
                sample_bytes=4 if decimal(f"BUF{n}SAMPLE") else 2,
                complete=bool(decimal(f"BUF{n}COMPLETE")),
                base=decimal(f"BUF{n}BASE"),
                frame=decimal(f"BUF{n}FRAME"),
                width=decimal(f"BUF{n}WIDTH"),
                height=decimal(f"BUF{n}HEIGHT"),
                lines=_field(said, "FRAME", f"BUF{n}LINES", int, 0),
                is_split=_field(said, "FRAME", f"BUF{n}MODE", int, 0) == 2,
                timestamp=ticks(f"BUF{n}TIMESTAMP"),
                rising=ticks(f"BUF{n}RETIMESTAMP"),
                falling=ticks(f"BUF{n}FETIMESTAMP"),
            )
        )
    return FrameStatus(ticks("TIMER"), decimal("RBUF"), decimal("WBUF"), tuple(buffers))


def parse_timer(answer: str) -> int:
    """Ticks of 10 ns. Raises: ProtocolError."""
    return _field(fields("TIMER", answer), "TIMER", "TIMER", lambda text: int(text, 16))


def _field(said: Mapping[str, str], command: str, key: str, parse: Callable[[str], T], default: T | None = None) -> T:
    if key not in said:
        if default is not None:
            return default
        raise ProtocolError(f"{command}: {key} is missing")
    try:
        return parse(said[key])
    except ValueError:
        raise ProtocolError(f"{command}: {key} = {said[key]!r} is no number") from None
