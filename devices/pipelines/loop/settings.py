"""How loops are looked for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class LoopSettings:
    """How loops are looked for.

    Attributes:
        pin_side: the edge of the picture that the pin comes from.
        least_score: below it nothing is found, 0 to 1.
        finder: ``network`` looks with the trained network, ``classical`` without; ``auto`` takes the network where
            torch is installed.
    """

    pin_side: Literal["left", "right"] = "left"
    least_score: float = 0.3
    finder: Literal["auto", "classical", "network"] = "auto"
