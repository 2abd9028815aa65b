"""Which of several mirrors serves a device, by its name alone: ``2/3`` is the second of three."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

from devices.core.errors import ConfigurationError

MOST = 100
_TEXT = re.compile(r"([1-9]\d*)/([1-9]\d*)")


@dataclass(frozen=True, slots=True)
class Portion:
    """One of equal portions of all devices.

    Every device is in exactly one of them. With one portion more, only the devices that go there change places.
    """

    number: int = 1
    of: int = 1

    @classmethod
    def parse(cls, text: str) -> Portion:
        """``2/3``; "" is all.

        Raises:
            ConfigurationError: it is no such portion.
        """
        if not text:
            return cls()
        found = _TEXT.fullmatch(text)
        if found is None or not int(found[1]) <= int(found[2]) <= MOST:
            raise ConfigurationError("mirror", [f"share = {text!r} is not N/M with N up to M up to {MOST}, as 2/3"])
        return cls(int(found[1]), int(found[2]))

    def has(self, device: str) -> bool:
        """Whether a Tango device is in it; its name in any case of letters, with or without its database."""
        name = "/".join(device.partition("#")[0].lower().split("/")[-3:])
        return self.number == max(range(1, self.of + 1), key=lambda number: _weight(number, name))

    def __str__(self) -> str:
        return f"{self.number}/{self.of}"


def _weight(number: int, name: str) -> bytes:
    """The portion with the greatest weight has the device (rendezvous hashing)."""
    return hashlib.blake2b(f"{number} {name}".encode(), digest_size=8).digest()
