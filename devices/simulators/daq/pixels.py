"""What simulated modules see, whether it is calculated or was recorded."""

from __future__ import annotations

from typing import NamedTuple, Protocol

from devices.drivers.pff import Product


class PulseHeight(NamedTuple):
    """A pulse height: of which module (its place in the list) and quabo, how long after the event, and its pixels."""

    module: int
    quabo: int
    after_ns: int
    pixels: bytes


class Pixels(Protocol):
    """Movie frames and pulse heights of modules, which are counted from 0; None for what is not seen."""

    movie: Product | None
    pulse_heights: Product | None

    def image(self, module: int, number: int) -> bytes:
        """The pixels of a movie frame."""

    def event(self, is_shower: bool) -> list[PulseHeight]:
        """The pulse heights of an event, the first one first; of a shower in all modules."""

    def next_event_s(self, rate_hz: float) -> float:
        """How long until the next of random events."""

    def renew(self, time_s: float) -> None:
        """The sky has moved on."""
