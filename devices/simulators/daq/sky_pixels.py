"""Pixels of the synthetic sky: prepared once and renewed one by one, for the noise of an image takes longest."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from devices.drivers.pff import PRODUCTS, QUABOS
from devices.drivers.quabo import QUADRANTS, SIDE
from devices.simulators.daq.night_sky import NOISE, PIXELS, NightSky, Showers
from devices.simulators.daq.pixels import PulseHeight
from devices.simulators.daq.settings import DaqSettings

#: Images of each module that are shown in turn.
PREPARED: Final = 32
#: So many are made anew at a time.
RENEWED: Final = 4
#: A pixel counts at most so long for an image, whatever its rate; it has 16 bits.
LONGEST_S: Final = 0.005
#: A quabo whose highest pixel is above this sees an event.
THRESHOLD: Final = 120
SINGLE_COUNTS: Final = (150.0, 400.0)


class SkyPixels:
    """What modules see of the night sky; see `devices.simulators.daq.stream.Pixels`."""

    def __init__(self, settings: DaqSettings) -> None:
        self.movie = PRODUCTS.get(settings.movie)
        self.pulse_heights = PRODUCTS.get(settings.pulse_heights)
        modules = len(settings.modules)
        self._sky = NightSky(modules, settings.seed, settings.turn_deg_per_s)
        self._random = self._sky.random
        self._showers = Showers(modules, self._random)
        self._exposure_s = min(1.0 / settings.rate_hz, LONGEST_S)
        self._images = [
            [self._expose(module, 0.0) for _ in range(PREPARED)] if self.movie else [] for module in range(modules)
        ]
        self._renewed = 0

    def image(self, module: int, number: int) -> bytes:
        images = self._images[module]
        return images[number % len(images)]

    def renew(self, time_s: float) -> None:
        if self.movie is None:
            return
        for _ in range(min(len(self._images), RENEWED)):
            number, module = divmod(self._renewed, len(self._images))
            self._images[module][number % PREPARED] = self._expose(module, time_s)
            self._renewed += 1

    def event(self, is_shower: bool) -> list[PulseHeight]:
        return self._shower() if is_shower else self._single()

    def next_event_s(self, rate_hz: float) -> float:
        return float(self._random.exponential(1.0 / rate_hz))

    def _expose(self, module: int, time_s: float) -> bytes:
        assert self.movie is not None
        highest = 255 if self.movie.bytes_per_pixel == 1 else 65535
        counts = self._sky.image(module, time_s, self._exposure_s)
        return np.minimum(counts, highest).astype(self.movie.dtype).tobytes()

    def _shower(self) -> list[PulseHeight]:
        number = int(self._random.integers(len(self._showers.images)))
        arrivals = self._showers.arrivals_ns[number]
        found = []
        for module in np.argsort(arrivals, kind="stable"):
            found += self._parts(int(module), int(arrivals[module]), self._showers.images[number, module])
        return found

    def _single(self) -> list[PulseHeight]:
        """Two photons of the night in one pixel at once."""
        module = int(self._random.integers(len(self._images)))
        image = np.rint(self._random.normal(0.0, NOISE, (PIXELS, PIXELS))).astype("<i2")
        image[tuple(self._random.integers(PIXELS, size=2))] = self._random.uniform(*SINGLE_COUNTS)
        return self._parts(module, 0, image)

    def _parts(self, module: int, after_ns: int, image: NDArray[Any]) -> list[PulseHeight]:
        """The event of a module, or of those of its quabos that see it."""
        if image.max() <= THRESHOLD:
            return []
        if self.pulse_heights is None or self.pulse_heights.has_quabos:
            return [PulseHeight(module, 0, after_ns, image.tobytes())]
        parts = []
        for quabo in range(QUABOS):
            row, column = QUADRANTS[quabo]
            part = image[row : row + SIDE, column : column + SIDE]
            if part.max() > THRESHOLD:
                parts.append(PulseHeight(module, quabo, after_ns, part.tobytes()))
        return parts
