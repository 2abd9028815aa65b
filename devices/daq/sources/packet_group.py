"""The packets of up to four quabos that were made at the same moment, as one frame of their module."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from devices.drivers.pff import QUABOS, Product, RawFrame, Stamp, encode_header
from devices.drivers.quabo import QUADRANTS, SIDE, QuaboPacket, oriented
from devices.drivers.white_rabbit import NANOSECONDS, WRAP_S

_NONE = Stamp(0, 0, 0, 0, 0)


@dataclass
class PacketGroup:
    """What has come of one module and data product.

    Args:
        window_ns: packets farther apart than this belong to different frames.
        packets, stamps: by quabo.
        opened: when the first of them came, monotonic s.
    """

    product: Product
    window_ns: int
    packets: dict[int, QuaboPacket] = field(default_factory=dict)
    stamps: dict[int, Stamp] = field(default_factory=dict)
    opened: float = 0.0

    def has_room(self, packet: QuaboPacket) -> bool:
        """Whether a packet belongs to those that have come."""
        if packet.quabo in self.packets:
            return False
        return all(apart_ns(packet, each) <= self.window_ns for each in self.packets.values())

    def add(self, packet: QuaboPacket, stamp: Stamp, now: float) -> None:
        if not self.packets:
            self.opened = now
        self.packets[packet.quabo] = packet
        self.stamps[packet.quabo] = stamp

    @property
    def is_complete(self) -> bool:
        return len(self.packets) == QUABOS

    def take(self) -> RawFrame:
        """The frame, with zeros where a quabo is missing, and room for the next one."""
        image = np.zeros(self.product.shape, self.product.dtype)
        for quabo, packet in self.packets.items():
            row, column = QUADRANTS[quabo]
            image[row : row + SIDE, column : column + SIDE] = oriented(packet.pixels, quabo)
        header = encode_header([self.stamps.get(quabo, _NONE) for quabo in range(QUABOS)])
        self.packets.clear()
        self.stamps.clear()
        return RawFrame(self.product, header, image.tobytes())


def apart_ns(first: QuaboPacket, second: QuaboPacket) -> int:
    """How far apart two packets were made, ns; their clocks tell no more than 1024 s."""
    wrap = WRAP_S * NANOSECONDS
    apart = (_clock_ns(first) - _clock_ns(second)) % wrap
    return min(apart, wrap - apart)


def _clock_ns(packet: QuaboPacket) -> int:
    return packet.pkt_tai * NANOSECONDS + packet.pkt_nsec
