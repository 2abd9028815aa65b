"""The options of the simulated Magellan controller."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from devices.simulators._ccd.settings import CameraSettings


@dataclass(frozen=True)
class MagellanSettings(CameraSettings):
    """Of a Magellan controller: a flush is one ``flush_ccd``; nothing heats the detector.

    Args:
        amplifiers: of the detector, until SetConfiguration says otherwise.
        dsp_reset_s: after its interface was opened the DSP takes no program for so long, s.
    """

    amplifiers: int = 4
    dsp_reset_s: float = 1.5

    kind: ClassVar[str] = "magellan"
    known_faults: ClassVar[tuple[str, ...]] = ("mute", "stall_in_image", "drop_in_image", "no_image", "short_image")
    bounds: ClassVar[Mapping[str, tuple[float, float]]] = {
        **CameraSettings.bounds,
        "amplifiers": (1, 64),
        "dsp_reset_s": (0.0, 60.0),
    }
