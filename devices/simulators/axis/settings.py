"""The options of a simulated camera."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Final
from urllib.parse import urlsplit

from devices.core.errors import ConfigurationError

LEVELS: Final = ("easy", "medium", "hard")
FORMS: Final = ("plain", "parameters", "lower_case", "multipart", "chunked", "expect")
#: Option -> the least and the greatest value.
_BOUNDS: Final = {
    "fps": (0.1, 1000.0),
    "step_deg": (0.01, 90.0),
    "seconds": (0.01, 3600.0),
    "every_s": (0.0, 1e6),
    "seed": (0, 2**31),
    "um_per_px": (0.01, 1000.0),
    "lose_every": (0, 1000),
    "damage_every": (0, 1000),
}


@dataclass(frozen=True)
class AxisCameraSettings:
    """What the camera sees, and what it does with it.

    Args:
        receiver: URL that pictures are posted to; empty: none are.
        fps: pictures per second that are posted, 1/s.
        form: how: ``plain`` (image/jpeg), with ``parameters``, ``lower_case`` header names, ``multipart``,
            ``chunked``, ``expect``.
        keep_connection: one connection for all pictures; otherwise each has its own.
        level, kind, seed: of the sample: easy, medium, hard; nylon, mitegen, pin, empty, or "" by chance.
        step_deg: how far the spindle turns from one picture to the next, degree.
        seconds: how long it turns when it does so by itself.
        every_s: it does so that often, s; 0: only when it is asked or triggered.
        dcss: HOST:PORT for clients of a DCSS whose shutter triggers the camera; empty: none.
        trigger: name of that shutter.
        spindle: its motor whose position is the angle of the sample while it stands, degree; empty: the angle is that
            of the last picture.
        stage: its motors x, y, z that move the sample, mm: x and y across the spindle and turning with it, z along it.
            They begin where the axis of the spindle is in the middle of the picture.
        um_per_px: of the camera.
        lose_every, damage_every: each so many-th picture is not sent, or comes damaged; 0: none.
    """

    receiver: str = ""
    fps: float = 30.0
    form: str = "plain"
    keep_connection: bool = False
    level: str = "easy"
    kind: str = ""
    seed: int = 1
    step_deg: float = 2.0
    seconds: float = 3.0
    every_s: float = 0.0
    dcss: str = ""
    trigger: str = "video_trigger"
    spindle: str = ""
    stage: str = ""
    um_per_px: float = 2.0
    lose_every: int = 0
    damage_every: int = 0

    def __post_init__(self) -> None:
        problems = []
        for name, (least, most) in _BOUNDS.items():
            if not least <= (value := getattr(self, name)) <= most:
                problems.append(f"{name} = {value:g} is outside [{least:g}, {most:g}]")
        if self.level not in LEVELS:
            problems.append(f"level = {self.level} is none of {', '.join(LEVELS)}")
        if self.form not in FORMS:
            problems.append(f"form = {self.form} is none of {', '.join(FORMS)}")
        if self.receiver and (urlsplit(self.receiver).scheme != "http" or not urlsplit(self.receiver).hostname):
            problems.append(f"receiver = {self.receiver} is not http://HOST:PORT/PATH")
        if len(self.stage_motors) not in (0, 3):
            problems.append(f"stage = {self.stage} are not three motors, parted by commas")
        if problems:
            raise ConfigurationError("simulator axis", problems)

    @property
    def stage_motors(self) -> list[str]:
        """Names of the motors x, y and z; none: the sample stays."""
        return self.stage.replace(",", " ").split()

    @classmethod
    def of(cls, options: Mapping[str, object]) -> AxisCameraSettings:
        """Settings from options of a facility file or a command line.

        Raises:
            ConfigurationError: wrong options.
        """
        kinds: dict[str, type] = {each.name: type(getattr(cls, each.name)) for each in fields(cls)}
        problems = [f"unknown option {name}" for name in options.keys() - kinds.keys()]
        values: dict[str, object] = {}
        for name, given in options.items():
            kind = kinds.get(name, str)
            try:
                values[name] = str(given).lower() in ("1", "true", "yes") if kind is bool else kind(str(given))
            except ValueError:
                problems.append(f"{name} = {given} is no {kind.__name__}")
        if problems:
            raise ConfigurationError("simulator axis", problems)
        return cls(**values)  # type: ignore[arg-type]
