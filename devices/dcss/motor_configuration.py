"""What DCSS has in its database for a motor.

Source:
    DCS administration guide, chapter 9; the words that servers in the field send: with host and name of the hardware
    behind the name in ``stoh_configure_*``, without them in ``htos_configure_device``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from devices.core.errors import BadValueError


@dataclass(frozen=True)
class MotorConfiguration:
    """Of a motor; limits and position in its unit.

    Attributes:
        scale: steps per unit. speed: steps/s. acceleration: ms. backlash: steps, the sign is that of the last approach.
        lower_on, upper_on: whether the limits count. lock_on: nobody may move it.
    """

    position: float = 0.0
    upper: float = 0.0
    lower: float = 0.0
    scale: float = 1.0
    speed: int = 1
    acceleration: int = 1
    backlash: int = 0
    lower_on: bool = False
    upper_on: bool = False
    lock_on: bool = False
    backlash_on: bool = False
    reverse_on: bool = False

    @classmethod
    def parse(cls, words: Sequence[str]) -> MotorConfiguration:
        """From what follows the motor's name: 15 or 9 words of ``stoh_configure_real_motor``, ``_pseudo_motor``, or the
        12 or 6 of ``configure_device``.

        Raises:
            BadValueError: not so many, or not numbers.
        """
        given = list(words)
        if len(given) not in (15, 14, 12, 9, 8, 6):
            raise BadValueError(f"configuration of {len(given)} words: {' '.join(words):.80}")
        if len(given) in (15, 14, 9, 8):
            del given[:2]  # host and name of the hardware
        try:
            # The last word, the status, says nothing about the motor.
            numbers = [float(word) for word in given[: 12 if len(given) >= 12 else 6]]
            if not all(map(math.isfinite, numbers)):
                raise ValueError
        except ValueError:
            raise BadValueError(f"configuration = {' '.join(words):.80} has words that are no numbers") from None
        position, upper, lower, *more = numbers
        found = cls(position, upper, lower)
        if len(numbers) >= 12:
            scale, speed, acceleration, backlash, *flags = more
            found = replace(
                found, scale=scale, speed=int(speed), acceleration=int(acceleration), backlash=int(backlash)
            )
        else:
            flags = more
        names = ("lower_on", "upper_on", "lock_on", "backlash_on", "reverse_on")
        return replace(found, **{name: bool(flag) for name, flag in zip(names, flags, strict=False)})

    def words(self, *, is_real: bool) -> tuple[object, ...]:
        """As ``htos_configure_device`` wants them behind the name: 12 of a real motor, 6 of a pseudo motor."""
        flags = (self.lower_on, self.upper_on, self.lock_on)
        if not is_real:
            return (self.position, self.upper, self.lower, *flags)
        steps = (self.scale, self.speed, self.acceleration, self.backlash)
        return (self.position, self.upper, self.lower, *steps, *flags, self.backlash_on, self.reverse_on)
