"""A frame on its way from a source to clients."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from devices.drivers.pff import Product, RawFrame, Stamp, parse_header, stamps


class Key(NamedTuple):
    """What a frame is the successor of: another one of the same module, data product and quabo."""

    module: int
    product: str
    quabo: int


@dataclass(frozen=True, eq=False)
class Frame:
    """One image of a module, or a pulse height of a quabo.

    Args:
        header: JSON, or what such a text says.
        pixels: row by row, little-endian.
        file: where it comes from.
        number: its number there.
        received_ns: when it came here, ns since 1970.
    """

    product: Product
    module: int
    quabo: int
    header: bytes | Mapping[str, Any]
    pixels: bytes
    file: str
    number: int
    received_ns: int = field(default_factory=time.time_ns)

    @classmethod
    def of(cls, raw: RawFrame, module: int, file: str, number: int) -> Frame:
        """Raises ProtocolError: the header is none."""
        return cls(raw.product, module, raw.quabo, raw.header, raw.pixels, file, number)

    @cached_property
    def key(self) -> Key:
        return Key(self.module, self.product.name, self.quabo)

    @cached_property
    def fields(self) -> Mapping[str, Any]:
        """The header; raises ProtocolError."""
        return parse_header(self.header) if isinstance(self.header, bytes) else self.header

    @cached_property
    def stamps(self) -> list[Stamp]:
        """Of its packets, as :func:`devices.drivers.pff.stamps` finds them; raises ProtocolError."""
        return stamps(self.fields)

    @property
    def image(self) -> NDArray[Any]:
        """(rows, columns), read-only."""
        return np.frombuffer(self.pixels, self.product.dtype).reshape(self.product.shape)

    @cached_property
    def encoded(self) -> dict[str, bytes]:
        """What services have made of the frame, each once for all clients."""
        return {}
