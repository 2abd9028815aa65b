"""Gulps for tests of the correlator image server: noise with pulses, given to the assembler as nodes would."""

from __future__ import annotations

from datetime import datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from devices.correlator.assembler import Place
from devices.correlator.device import CorrelatorServer
from devices.correlator.injection import add_pulse
from devices.drivers.correlator_message import MessageName
from devices.pipelines.search.psf import gaussian_psf
from devices.pipelines.search.pulse import dispersed_pulse

START = datetime(2026, 11, 21, 3, 12, 4, 215000)
#: A small instrument: all of it takes some ms.
SMALL = {"gridsize": "48", "nchans": "16", "classify": "false", "threads": "1", "psf": "gaussian:3"}


class Stream:
    """Gulps of white noise (1) that follow one another; made alike by the same seed."""

    def __init__(self, device: CorrelatorServer, seed: int = 7) -> None:
        given = device.properties
        self._device, self._random = device, np.random.default_rng(seed)
        self._shape = (given.nchans, given.nsamps, given.gridsize, given.gridsize)
        self.band, self.given = given.band, given
        self.sent = 0

    def noise(self) -> NDArray[np.float32]:
        return self._random.standard_normal(self._shape, np.float32)

    def with_pulse(
        self, y: int, x: int, dm: float, width: float, start: float, amplitude: float
    ) -> NDArray[np.float32]:
        """Noise and one pulse that begins ``start`` samples from the gulp's first at the lowest frequency."""
        cube = self.noise()
        signal = dispersed_pulse(self.band, dm, width, start, self.given.nsamps)
        add_pulse(cube, signal, gaussian_psf(self.band, 19, 3.0), y, x, amplitude)
        return cube

    def send(self, cube: NDArray[np.float32] | None = None, missing: tuple[int, ...] = ()) -> str:
        """Give a gulp to the assembler, as if all nodes had sent; its time."""
        cube = self.noise() if cube is None else cube
        at = START + timedelta(seconds=self.sent * self.given.nsamps * self.given.sample_s)
        isot = at.isoformat(timespec="milliseconds")
        self.sent += 1
        assembler = self._device.assembler
        assert assembler is not None
        for channel in range(self._shape[0]):
            if channel in missing:
                continue
            place = assembler.reserve(MessageName(channel, isot), channel)
            assert isinstance(place, Place), place
            place.into[...] = cube[channel]
            assembler.stored(place)
        if missing:
            assembler.end_all()
        return isot
