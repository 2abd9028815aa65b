"""How one Magellan controller is reached and what it can do."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from devices.drivers.controller_server import PORT


@dataclass(frozen=True)
class MagellanSettings:
    """Of `MagellanLink`.

    Attributes:
        program: the .s file that `reset` loads.
        timeout: of one command, s. flush_timeout: of one flush, s. load_timeout: of the loading of the program, s.
        frame_timeout: longest time in which no byte of an image comes, s.
        interface_seconds: the DSP needs so long after its interface was opened, s.
        upload_seconds: between the upload of the program and its loading, s.
        start_seconds: the program needs so long until it runs, s.
        shutter_seconds: to wait with the shutter shut before the read-out, until it really is.
        configuration: the five numbers of SetConfiguration; empty: the server's own ones stand.
        pauses, reads_early: whether the program can hold its clock, and reads before its time is over.
    """

    host: str
    program: Path
    port: int = PORT
    timeout: float = 2.0
    flush_timeout: float = 60.0
    load_timeout: float = 30.0
    frame_timeout: float = 10.0
    interface_seconds: float = 1.6
    upload_seconds: float = 1.0
    start_seconds: float = 0.1
    shutter_seconds: float = 0.04
    configuration: tuple[int, ...] = ()
    pauses: bool = False
    reads_early: bool = False
