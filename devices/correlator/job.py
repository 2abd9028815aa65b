"""What the engine asks its worker to do with a gulp, and what the worker found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from devices.correlator.gulp import Gulp
from devices.correlator.injection import Pulse
from devices.pipelines.candidates.candidate import Candidate

if TYPE_CHECKING:
    from devices.correlator.plan import Plan


@dataclass(frozen=True)
class Job:
    """A gulp to be searched.

    Attributes:
        gulp: with an empty cube: the worker finds it in the slot.
        follows: whether it begins where the gulp of the job before ended.
        plan: what to do; the worker takes it over when it is another one than before.
        pulses: to be injected, each with the number of samples that have gone by since the first sample of the first
            gulp of that pulse.
        save_cube: whether the cube is written to the results folder.
        reset_noise: whether the noise of earlier gulps is forgotten first.
    """

    gulp: Gulp
    follows: bool
    plan: Plan
    pulses: tuple[tuple[Pulse, int], ...] = ()
    save_cube: bool = False
    reset_noise: bool = False


@dataclass(frozen=True)
class Cutout:
    """A candidate's pictures.

    Attributes:
        image: mean over its samples and all channels, in units of the cube; axes (y, x); y, x: pixel of its middle.
        spectrum: at its pixel; NaN: missing; axes (channel, sample).
    """

    image: NDArray[np.float32]
    spectrum: NDArray[np.float32]


@dataclass(frozen=True)
class Injected:
    """What became of an injected pulse in one gulp.

    Attributes:
        identity: of the pulse.
        amplitude: of the pulse in its brightest pixel, in units of the cube.
        recovered: greatest significance at its pixel, sigma.
        name: of the candidate that it became; "": of none in this gulp.
    """

    identity: str
    amplitude: float
    recovered: float
    name: str


@dataclass(frozen=True)
class Found:
    """What the search of a gulp gave.

    Attributes:
        candidates: falling significance; cutouts: one for each.
        snr: greatest significance of each pixel, sigma; axes (y, x).
        sigma: noise of sums over channels and samples, in units of the cube; axes (dm, width).
        channel_sigma: noise of each channel; NaN: missing; axis: channel.
        voxels: over the threshold; cut: how many more there were than may be.
        complete: whether the gulp before was there.
        saved: path of the cube, where it was to be written.
        problem: why results cannot be written; "": they can.
        scheduler_problem: why it was not searched by the workers of the scheduler; "": it was, or there is none.
        seconds: stage -> how long it took, s; "total" is all of it.
    """

    number: int
    isot: str
    candidates: tuple[Candidate, ...]
    cutouts: tuple[Cutout, ...]
    snr: NDArray[np.float32]
    sigma: NDArray[np.float64]
    channel_sigma: NDArray[np.float64]
    voxels: int
    cut: int
    complete: bool
    injected: tuple[Injected, ...]
    saved: str
    problem: str
    seconds: Mapping[str, float]
    scheduler_problem: str = ""
