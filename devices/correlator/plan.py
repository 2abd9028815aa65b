"""What a search process is told: once, what it works with; with every gulp, what to look for."""

from __future__ import annotations

from dataclasses import dataclass

from devices.correlator.gulp import GulpShape
from devices.correlator.properties import CorrelatorProperties
from devices.pipelines.search.trials import Trials


@dataclass(frozen=True)
class Plan:
    """What clients may change between two gulps.

    Attributes:
        threshold: of candidates, sigma.
    """

    threshold: float
    trials: Trials


@dataclass(frozen=True)
class Setup:
    """What holds as long as the process lives.

    Attributes:
        block: name of the shared memory of cubes; "": there is none, files only.
    """

    properties: CorrelatorProperties
    shape: GulpShape
    block: str
