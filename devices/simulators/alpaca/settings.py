"""The options of the simulated Alpaca server, and what can be wrong with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from devices.simulators._ccd.settings import CameraSettings, fault_words


@dataclass(frozen=True)
class AlpacaSettings(CameraSettings):
    """Of a camera and what hangs on the same telescope; the detector has one amplifier.

    Args:
        most_binning: along each axis. asymmetric: binning may differ between them (1), or not (0).
        shortest_s, longest_s: of an exposure.
        can_abort, can_stop, has_shutter, has_cooler, image_bytes: 1, or 0.
        filters: names, parted by commas. filter_s: from one to the next, s.
        focus_steps_s: of the focuser, steps per second.
        slew_degrees_s: of telescope and dome. latitude, longitude: of the site, degrees, east positive. altitude_m.
        discovery: UDP port that answers who looks for servers; 0: none.
    """

    columns: int = 1600
    rows: int = 1200
    prescan: int = 0
    pixel_rate_hz: float = 8e6
    cold_c: float = -25.0
    most_binning: int = 4
    asymmetric: int = 1
    shortest_s: float = 0.001
    longest_s: float = 3600.0
    can_abort: int = 1
    can_stop: int = 1
    has_shutter: int = 1
    has_cooler: int = 1
    image_bytes: int = 1
    filters: str = "Luminance,Red,Green,Blue,H-alpha"
    filter_s: float = 0.3
    focus_steps_s: float = 2000.0
    slew_degrees_s: float = 5.0
    latitude: float = 31.96
    longitude: float = -111.6
    altitude_m: float = 2096.0
    discovery: int = 0

    kind: ClassVar[str] = "alpaca"
    known_faults: ClassVar[tuple[str, ...]] = (
        *("mute", "wrong_transaction", "no_image", "error_state"),
        *("short_image", "stall_in_image", "drop_in_image"),
    )
    bounds: ClassVar[Mapping[str, tuple[float, float]]] = {
        **CameraSettings.bounds,
        "most_binning": (1, 64),
        "shortest_s": (0.0, 60.0),
        "longest_s": (0.001, 86_400.0),
        **dict.fromkeys(("asymmetric", "can_abort", "can_stop", "has_shutter", "has_cooler", "image_bytes"), (0, 1)),
        "filter_s": (0.0, 60.0),
        "focus_steps_s": (1.0, 1e6),
        "slew_degrees_s": (0.01, 1e6),
        "latitude": (-90.0, 90.0),
        "longitude": (-180.0, 180.0),
        "altitude_m": (-300.0, 10_000.0),
        "discovery": (0, 65_535),
    }


@dataclass
class Faults:
    """What is wrong now; tests change it while the simulator runs.

    Attributes:
        mute: nothing is answered. delay_s: everything is answered so much later.
        refused: members that answer the driver's error 0x5A0. broken: members that answer HTTP 500.
        wrong_transaction: answers have another transaction number than the question.
        no_image: it is never ready. error_state: the camera fails when it is to read.
        short_image: a column less than was asked for.
        stall_in_image, drop_in_image: in the middle of a picture nothing more comes, or the connection ends.
    """

    mute: bool = False
    delay_s: float = 0.0
    refused: set[str] = field(default_factory=set)
    broken: set[str] = field(default_factory=set)
    wrong_transaction: bool = False
    no_image: bool = False
    error_state: bool = False
    short_image: bool = False
    stall_in_image: bool = False
    drop_in_image: bool = False

    @classmethod
    def of(cls, words: str) -> Faults:
        """From `AlpacaSettings.faults`."""
        faults = cls()
        for word in fault_words(words):
            setattr(faults, word, True)
        return faults
