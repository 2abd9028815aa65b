"""What an Alpaca server is told."""

from __future__ import annotations

from dataclasses import dataclass, field

DEFAULT_PORT = 11112
DISCOVERY_PORT = 32227


@dataclass(frozen=True)
class Sensor:
    """What only people know of a sensor; None: nobody has said.

    Attributes:
        name: of its maker.
        pixel_um: width and height of an unbinned pixel.
        full_well: of a pixel, electron.
        gain: electron/adu, where the detector of the exposure does not say it.
    """

    name: str = ""
    pixel_um: tuple[float, float] | None = None
    full_well: float | None = None
    gain: float | None = None


@dataclass(frozen=True)
class AlpacaSettings:
    """How a camera is served.

    Attributes:
        host, port: where to listen; port 0 is any.
        discovery: UDP port at which clients ask for servers; None: none can.
        location: where the camera stands, for people.
        token: what clients must say; "": nothing.
        connections: at most so many at once.
        names: of this host under which clients may ask, beside addresses and localhost.
        sensor: facts of it.
        gain, offset, readout_mode: attributes of the controller that are Gain, Offset and ReadoutMode; "": none.
    """

    host: str = "127.0.0.1"
    port: int = DEFAULT_PORT
    discovery: int | None = None
    location: str = ""
    token: str = field(default="", repr=False)
    connections: int = 64
    names: tuple[str, ...] = ()
    sensor: Sensor = field(default_factory=Sensor)
    gain: str = ""
    offset: str = ""
    readout_mode: str = ""
