"""How one camera behind Alpaca is reached."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class AlpacaSettings:
    """Of `AlpacaLink`.

    Attributes:
        number: of the camera among those of the server, from 0.
        timeout: of one question, s; of a picture: how long nothing of it may come.
        connect_timeout: until the server has its camera, s.
        frame_timeout: longest time in which a read-out makes no progress, s.
        gain, offset: that a reset sets; None: they are left as they are. readout_mode: its name; "": left.
    """

    host: str
    port: int = 11111
    number: int = 0
    timeout: float = 5.0
    connect_timeout: float = 30.0
    frame_timeout: float = 60.0
    gain: int | None = None
    offset: int | None = None
    readout_mode: str = ""
