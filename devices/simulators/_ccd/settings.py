"""The options that all simulated CCD cameras have."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import ClassVar, Final, Self

from devices.core.errors import ConfigurationError

SCENES: Final = ("stars", "flat", "dark", "test")


@dataclass(frozen=True)
class CameraSettings:
    """The detector behind a controller, its light and its speed.

    Args:
        columns, rows: light-sensitive pixels of the detector, divided among the amplifiers: up to three or an odd
            number side by side; otherwise half of them along the bottom, half along the top.
        prescan: pixels of each serial register before the first that sees light.
        scene: stars; flat (an even light); dark (no light); test (each pixel is a known function of its place).
        sky_e_s, flat_e_s: electrons per pixel and second.
        stars_per_mpix: number; fwhm_px: of their images.
        gain_e_adu, read_noise_e, bias_adu, full_well_e: of the video chain and the pixels.
        dark_e_s: at 20 C; halves every 6.3 K.
        cosmic_rays_mpix_h: per million pixels and hour.
        pixel_rate_hz: pixels per second of each amplifier.
        row_s: of the shift of one row, s. sweep_s: of one flush, s.
        cold_c: where the detector goes without its heater.
        faults: of `known_faults`, parted by commas.
        seed: of everything random. host: of the socket.
    """

    columns: int = 4096
    rows: int = 4096
    prescan: int = 16
    scene: str = "stars"
    sky_e_s: float = 20.0
    flat_e_s: float = 10_000.0
    stars_per_mpix: float = 40.0
    fwhm_px: float = 3.0
    gain_e_adu: float = 1.5
    read_noise_e: float = 4.0
    bias_adu: float = 1000.0
    full_well_e: float = 80_000.0
    dark_e_s: float = 100.0
    cosmic_rays_mpix_h: float = 60.0
    pixel_rate_hz: float = 4e6
    row_s: float = 20e-6
    sweep_s: float = 0.05
    cold_c: float = -140.0
    faults: str = ""
    seed: int = 1
    host: str = "127.0.0.1"

    #: The simulator, in errors.
    kind: ClassVar[str] = "camera"
    known_faults: ClassVar[tuple[str, ...]] = ()
    #: Name of a number -> lowest and highest; a subclass adds those of its own.
    bounds: ClassVar[Mapping[str, tuple[float, float]]] = {
        "columns": (8, 32_768),
        "rows": (8, 32_768),
        "prescan": (0, 1024),
        "sky_e_s": (0.0, 1e9),
        "flat_e_s": (0.0, 1e9),
        "stars_per_mpix": (0.0, 10_000.0),
        "fwhm_px": (0.5, 50.0),
        "gain_e_adu": (0.01, 1000.0),
        "read_noise_e": (0.0, 10_000.0),
        "bias_adu": (0.0, 60_000.0),
        "full_well_e": (100.0, 1e9),
        "dark_e_s": (0.0, 1e6),
        "cosmic_rays_mpix_h": (0.0, 1e6),
        "pixel_rate_hz": (1e3, 1e12),
        "row_s": (0.0, 1.0),
        "sweep_s": (0.0, 100.0),
        "cold_c": (-200.0, 30.0),
        "seed": (0, 2**63),
    }

    @classmethod
    def of(cls, options: Mapping[str, object]) -> Self:
        """Settings from options of a facility file or a command line.

        Raises:
            ConfigurationError: wrong options, all of them.
        """
        known = {each.name: each.default for each in fields(cls)}
        problems = [f"unknown option {name}" for name in options.keys() - known.keys()]
        values: dict[str, object] = {}
        for name, given in options.items():
            if name in cls.bounds:
                lowest, highest = cls.bounds[name]
                value = _number(given)
                if not lowest <= value <= highest or (isinstance(known[name], int) and value != int(value)):
                    kind = "whole number" if isinstance(known[name], int) else "number"
                    problems.append(f"{name} = {given} is not a {kind} in [{lowest:g}, {highest:g}]")
                else:
                    values[name] = int(value) if isinstance(known[name], int) else value
            elif name in known:
                values[name] = str(given)
        if values.get("scene", SCENES[0]) not in SCENES:
            problems.append(f"scene = {values['scene']} is none of {', '.join(SCENES)}")
        problems += [
            f"fault {word} is none of {', '.join(cls.known_faults)}"
            for word in fault_words(str(values.get("faults", "")))
            if word not in cls.known_faults
        ]
        if problems:
            raise ConfigurationError(f"simulator {cls.kind}", sorted(problems))
        return cls(**values)  # type: ignore[arg-type]


def fault_words(text: str) -> list[str]:
    """Faults are parted by commas."""
    return [word.strip() for word in text.split(",") if word.strip()]


def _number(given: object) -> float:
    try:
        return float(str(given))
    except ValueError:
        return math.nan
