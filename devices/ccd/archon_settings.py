"""How one Archon is reached and what hangs on it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

DEFAULT_SENSORS = {"CCD": "MOD10/TEMPA", "COLDHEAD": "MOD10/TEMPB", "BACKPLANE": "BACKPLANE_TEMP"}


@dataclass(frozen=True)
class ArchonSettings:
    """Of `ArchonLink`.

    Attributes:
        configuration: the .acf or .ncf file that `reset` loads.
        timeout: of one message, s. power_timeout: until the power is on and good, s.
        frame_timeout: longest time in which a read-out makes no progress, s.
        sweep_seconds: of one SweepCount of the timing script, which says nothing of its end.
        row_seconds: of one row of ShiftLines, likewise.
        shutter_seconds: to wait with the shutter shut before the read-out, until it really is.
        heater: beginning of the keys of the heater of the detector, ``MOD10/HEATERA``; "": there is none.
        sensors: name -> key of STATUS, Celsius.
    """

    host: str
    configuration: Path
    port: int = 4242
    timeout: float = 2.0
    power_timeout: float = 10.0
    frame_timeout: float = 10.0
    sweep_seconds: float = 0.05
    row_seconds: float = 50e-6
    shutter_seconds: float = 0.010
    heater: str = "MOD10/HEATERA"
    sensors: Mapping[str, str] = field(default_factory=lambda: dict(DEFAULT_SENSORS))
