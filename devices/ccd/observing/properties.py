"""What an observer device can be told."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from devices.ccd.focus_run import Focuser
from devices.core import Properties, setting


@dataclass(frozen=True)
class ObserverProperties(Properties):
    """Which camera it works with, and where its files are."""

    exposure: str = setting(doc="Device name of the exposure, in the same server")
    folder: Path = setting(doc="Where scripts lie, and where the journal and the logs of nights are written")
    focuser: Focuser = setting(Focuser.INSTRUMENT, doc="Whose focus scripts move: instrument or telescope")
    retry_delay: float = setting(2.0, doc="Before a row is tried again, s", limits=(0.0, 3600.0))
    slew_rate: float = setting(
        0.0, doc="For estimates: speed of the telescope's axes, deg/s; 0: its own property", limits=(0.0, 1e6)
    )
    acceleration: float = setting(
        0.0, doc="For estimates: of the telescope's axes, deg/s2; 0: its own property", limits=(0.0, 1e9)
    )
