"""The options of the simulated Archon, and what can be wrong with it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from devices.simulators._ccd.settings import CameraSettings, fault_words


@dataclass(frozen=True)
class ArchonSettings(CameraSettings):
    """Of an Archon: its amplifiers are the taps of the configuration, a flush is one SweepCount."""

    kind: ClassVar[str] = "archon"
    known_faults: ClassVar[tuple[str, ...]] = (
        "power_bad",
        "overheat",
        "mute",
        "stall_in_fetch",
        "drop_in_fetch",
        "wrong_frame",
        "no_frame",
    )


@dataclass
class Faults:
    """What is wrong now; tests change it while the simulator runs.

    Attributes:
        power_bad: POWERON leads to INTERMEDIATE and POWERGOOD=0. overheat: OVERHEAT=1.
        mute: nothing is answered. delay_s: everything is answered so much later.
        refused: beginnings of commands that are answered by ``?``.
        stall_in_fetch, drop_in_fetch: in the middle of a frame nothing more comes, or the connection ends.
        wrong_frame: frames have a column less than was asked for. no_frame: frames are never complete.
        wrong_lines: configuration lines that are kept otherwise than they were written.
    """

    power_bad: bool = False
    overheat: bool = False
    mute: bool = False
    delay_s: float = 0.0
    refused: set[str] = field(default_factory=set)
    stall_in_fetch: bool = False
    drop_in_fetch: bool = False
    wrong_frame: bool = False
    no_frame: bool = False
    wrong_lines: set[int] = field(default_factory=set)

    @classmethod
    def of(cls, words: str) -> Faults:
        """From `ArchonSettings.faults`."""
        faults = cls()
        for word in fault_words(words):
            setattr(faults, word, True)
        return faults
