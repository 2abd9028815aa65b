"""The options of the simulated ARC controller."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from devices.simulators._ccd.settings import CameraSettings


@dataclass(frozen=True)
class ArcSettings(CameraSettings):
    """Of an ARC controller: its amplifiers are those of its timing board's memory, a flush is one CLR.

    Args:
        generation: 1, 2 or 3: where shutter and power are.
        controller_type: what the server says: 4 an ARC with PCIe, 0 none, demo mode.
        order: of the amplifiers in the stream, from 0, parted by commas: the n-th is amplifier order[n]; empty: as they
            are.
        curve: of the temperature sensors: 0 DT670, 1 AD590, 2 1N4148, 3 1N914.
        line_delay_s: of one count of the timing board's line delay, s.
    """

    generation: int = 3
    controller_type: int = 4
    order: str = ""
    curve: int = 0
    line_delay_s: float = 1e-6

    kind: ClassVar[str] = "arc"
    known_faults: ClassVar[tuple[str, ...]] = (
        "mute",
        "stall_in_image",
        "drop_in_image",
        "no_image",
        "short_image",
        "bad_link",
        "no_power",
    )
    bounds: ClassVar[Mapping[str, tuple[float, float]]] = {
        **CameraSettings.bounds,
        "generation": (1, 3),
        "controller_type": (0, 4),
        "curve": (0, 3),
        "line_delay_s": (1e-9, 1.0),
    }
