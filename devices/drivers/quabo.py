"""Science packets of PANOSETI quadrant boards (quabos), and how four of them make a module's image.

Source: PANOSETI quabo packet interface: UDP port 60001, 16 bytes of header and 256 pixels.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from devices.core.errors import ProtocolError
from devices.drivers.pff import PRODUCTS, Product

SCIENCE_PORT: Final = 60001
_HEADER: Final = struct.Struct("<BBHHHHIH")
PULSE_HEIGHT_MODE: Final = 1
IMAGE_16_MODES: Final = (2, 3)
IMAGE_8_MODES: Final = (6, 7)
SIDE: Final = 16


@dataclass(frozen=True, eq=False)
class QuaboPacket:
    """A science packet.

    Args:
        mode: 1 pulse heights, 2 and 3 images of 16 bits, 6 and 7 of 8 bits.
        pkt_num, pkt_tai, pkt_nsec: see `devices.drivers.pff.Stamp`.
        pixels: (16, 16) in the order of the quabo.
    """

    mode: int
    module: int
    quabo: int
    pkt_num: int
    pkt_tai: int
    pkt_nsec: int
    pixels: NDArray[Any]

    @property
    def product(self) -> Product:
        """What the packet is of: a pulse height of one quabo, or a part of an image."""
        if self.mode == PULSE_HEIGHT_MODE:
            return PRODUCTS["ph256"]
        return PRODUCTS["img16" if self.mode in IMAGE_16_MODES else "img8"]


def decode_packet(data: bytes) -> QuaboPacket:
    """A packet from its UDP payload.

    Raises:
        ProtocolError: another length, or a mode that carries no pixels.
    """
    if len(data) < _HEADER.size:
        raise ProtocolError(f"a packet of {len(data)} bytes, fewer than the {_HEADER.size} bytes of its header")
    mode, _, pkt_num, place, tai, _, nsec, _ = _HEADER.unpack_from(data)
    if mode == PULSE_HEIGHT_MODE:
        dtype = "<i2"
    elif mode in IMAGE_16_MODES:
        dtype = "<u2"
    elif mode in IMAGE_8_MODES:
        dtype = "u1"
    else:
        raise ProtocolError(f"a packet of mode {mode}, which is none of 1, 2, 3, 6, 7")
    size = _HEADER.size + SIDE * SIDE * np.dtype(dtype).itemsize
    if len(data) != size:
        raise ProtocolError(f"a packet of mode {mode} has {len(data)} bytes, not {size} bytes")
    pixels = np.frombuffer(data, dtype, SIDE * SIDE, _HEADER.size).reshape(SIDE, SIDE)
    return QuaboPacket(mode, place >> 2, place & 3, pkt_num, tai & 0x3FF, nsec, pixels)


def encode_packet(packet: QuaboPacket) -> bytes:
    """The UDP payload of a packet; for simulators."""
    place = packet.module << 2 | packet.quabo
    head = _HEADER.pack(packet.mode, 1, packet.pkt_num & 0xFFFF, place, packet.pkt_tai, 0, packet.pkt_nsec, 0)
    return head + packet.pixels.tobytes()


def oriented(pixels: NDArray[Any], quabo: int) -> NDArray[Any]:
    """A quabo's (16, 16) pixels as they lie in its quadrant of the module, (16, 16).

    The quadrants are, by quabo: 0 top left, 1 top right, 2 bottom right, 3 bottom left.
    """
    if quabo == 0:
        return pixels.T[:, ::-1]
    if quabo == 1:
        return pixels[::-1, ::-1]
    if quabo == 2:
        return pixels.T[::-1, :]
    return pixels


#: First row and column of each quabo's quadrant in the module's image.
QUADRANTS: Final = ((0, 0), (0, SIDE), (SIDE, SIDE), (SIDE, 0))


def module_of(address: bytes) -> tuple[int, int]:
    """Module and quabo of a board's IPv4 address, 4 bytes."""
    number = address[2] << 8 | address[3]
    return number >> 2, number & 3
