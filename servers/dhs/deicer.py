"""A deicer at the pins of a Raspberry Pi, as operations of DCSS; anywhere else the pins are simulated.

An example: a module of plain functions is a hardware server. In ``config/BL-831.config``::

    deicer: {heater_pin: 17, air_pin: 27}

and ``pyDHS BL-831 deicer``; in the database of DCSS, the operations ``deice`` and ``deicerState`` have the host
``deicer``.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Mapping
from typing import Any, Final

from devices.core.errors import BusyError, RangeError

log = logging.getLogger("diptych.dhs.deicer")

__all__ = ["deice", "deicerState"]

#: Longer warms the crystal, s.
LONGEST_S: Final = 30.0
STEP_S: Final = 0.5


class SimulatedPin:
    """A pin of a computer that has none."""

    def __init__(self, number: int) -> None:
        self.number, self.value = number, 0

    def on(self) -> None:
        self.value = 1

    def off(self) -> None:
        self.value = 0


def _pin(number: int) -> Any:
    try:
        from gpiozero import LED  # type: ignore[import-not-found,unused-ignore]

        return LED(number)
    except Exception as error:  # gpiozero has an error of its own for each thing that is no Raspberry Pi
        log.warning("pin %d is simulated: %s", number, error)
        return SimulatedPin(number)


_pins: dict[str, Any] = {}


def configure(settings: Mapping[str, Any]) -> None:
    """Take the pins."""
    _pins["heater"] = _pin(int(settings.get("heater_pin", 17)))
    _pins["air"] = _pin(int(settings.get("air_pin", 27)))


def close() -> None:
    """Switch everything off."""
    for pin in _pins.values():
        pin.off()


def deice(seconds: float = 5.0) -> Iterator[list[object]]:
    """Blow warm air for some time; updates say how long it lasts yet."""
    if not 0.0 < seconds <= LONGEST_S:
        raise RangeError(f"seconds = {seconds:g} s is outside (0, {LONGEST_S:g}] s")
    if _pins["heater"].value:
        raise BusyError("the deicer runs already")
    _pins["air"].on()
    _pins["heater"].on()
    try:
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0.0:
            yield ["deicing", round(left, 1)]
            time.sleep(min(STEP_S, left))
    finally:
        _pins["heater"].off()
        _pins["air"].off()


def deicerState() -> list[object]:
    """Whether heater and air are on."""
    return [int(_pins[name].value) for name in ("heater", "air")]
