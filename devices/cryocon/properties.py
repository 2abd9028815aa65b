"""The properties of a CryoCon device."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from devices.core import Properties, setting


@dataclass(frozen=True)
class CryoConProperties(Properties):
    """Where the instrument is, and what to expect there."""

    link: str = setting(
        doc="tcp://HOST:5000, udp://HOST:5001, serial:///dev/ttyUSB0?baudrate=9600, rfc2217://HOST:PORT"
    )
    model: Literal["18i", "22C", "24C", "24"] = setting("24C", doc="Which model it is; its answer to *IDN? must agree")
    used_inputs: tuple[str, ...] = setting((), doc="The inputs in use, e.g. A, B; empty: all that the model has")
    used_loops: tuple[int, ...] = setting((), doc="The loops in use, e.g. 1; empty: all that the model has")
    period: float = setting(1.0, doc="How often temperatures and loops are asked for, s", limits=(0.05, 3600.0))
    settings_period: float = setting(10.0, doc="How often everything else is asked for, s", limits=(0.5, 3600.0))
    timeout: float = setting(1.0, doc="How long to wait for one answer, s", limits=(0.05, 2.4))
    spacing: float = setting(0.1, doc="The pause between two messages, s; the manual asks for 0.1", limits=(0.0, 5.0))
    description: str = setting("", doc="What this instrument cools; shown to operators")
    init_commands: tuple[str, ...] = setting(
        (), doc="Commands sent once, when a server process first reaches the instrument, e.g. 'input A:units C'"
    )
