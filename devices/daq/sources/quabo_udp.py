"""Frames from the packets that quabos send, without a recorder in between."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Final

from devices.core.errors import NotConnectedError, ProtocolError
from devices.daq.frame import Frame
from devices.daq.sources.packet_group import PacketGroup
from devices.daq.sources.source import Source
from devices.drivers.pff import PRODUCTS, RawFrame, Stamp, encode_header
from devices.drivers.quabo import SCIENCE_PORT, QuaboPacket, decode_packet, oriented

IMAGE_WINDOW_NS: Final = 100
PULSE_HEIGHT_WINDOW_NS: Final = 25
#: A frame whose packets have not all come is published after so long without them.
PARTIAL_SECONDS: Final = 0.02
RECEIVE_BYTES: Final = 16 << 20
LARGEST_PACKET: Final = 2048
#: Packets that are taken before others in the loop get their turn.
AT_ONCE: Final = 200
_WRAP: Final = 1 << 16


class QuaboUdp(Source):
    """Module images of quabos' packets within 100 ns, and the pulse heights of each quabo.

    An image of which packets are missing has zeros in their place; it is published when the next one begins, or after
    20 ms.

    Args:
        host: the address at which packets come.
        port: 0: any that is free.
        modules: empty: all.
        groups_pulse_heights: pulse heights of a module within 25 ns are one frame, `ph1024`.
        receive_bytes: of packets that wait in the kernel; it may grant less (`net.core.rmem_max`).
    Attributes:
        address: where packets are taken, once it runs.
        bad_packets: had another length or mode.
        lost_packets: were never seen, by the numbers of those before and after.
        late_packets: came after one with a higher number, or twice.
        partial: images that lack a quabo.
    """

    def __init__(
        self,
        publish: Callable[[Frame], None],
        host: str = "127.0.0.1",
        port: int = SCIENCE_PORT,
        *,
        modules: Iterable[int] = (),
        groups_pulse_heights: bool = False,
        receive_bytes: int = RECEIVE_BYTES,
    ) -> None:
        super().__init__(publish)
        self.address = (host, port)
        self._modules = frozenset(modules)
        self._groups_pulse_heights = groups_pulse_heights
        self._receive_bytes = receive_bytes
        self._groups: dict[tuple[int, str], PacketGroup] = {}
        self._numbers: dict[tuple[int, int, int], int] = {}  # the next one, by module, quabo and mode
        self._counts: dict[tuple[int, str], int] = {}
        self._timer: asyncio.TimerHandle | None = None
        self.packets = self.bad_packets = self.lost_packets = self.late_packets = self.partial = 0

    async def run(self) -> None:
        """Take packets until cancelled; raises NotConnectedError when the address cannot be had."""
        loop = asyncio.get_running_loop()
        with contextlib.closing(self._open()) as link:
            self.address = link.getsockname()[:2]
            loop.add_reader(link, self._receive, link)
            self.ready.set()
            try:
                await asyncio.Event().wait()
            finally:
                loop.remove_reader(link)
                if self._timer is not None:
                    self._timer.cancel()

    def counters(self) -> Mapping[str, int]:
        names = ("packets", "bad_packets", "lost_packets", "late_packets", "partial")
        return {**super().counters(), **{name: getattr(self, name) for name in names}}

    def _open(self) -> socket.socket:
        host, port = self.address
        link = None
        try:
            family, kind, protocol, _, address = socket.getaddrinfo(
                host, port, type=socket.SOCK_DGRAM, flags=socket.AI_NUMERICHOST
            )[0]
            link = socket.socket(family, kind, protocol)
            link.setblocking(False)
            link.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self._receive_bytes)
            link.bind(address)
        except OSError as error:
            if link is not None:
                link.close()
            raise NotConnectedError(
                f"packets of quabos cannot be taken at {host}:{port}: {error.strerror or error}"
            ) from error
        return link

    def _receive(self, link: socket.socket) -> None:
        for _ in range(AT_ONCE):
            try:
                data = link.recv(LARGEST_PACKET)
            except (BlockingIOError, InterruptedError):
                return
            self._take(data)

    def _take(self, data: bytes) -> None:
        try:
            packet = decode_packet(data)
        except ProtocolError:
            self.bad_packets += 1
            self.skipped_bytes += len(data)
            return
        self.packets += 1
        self._count_gap(packet)
        if self._modules and packet.module not in self._modules:
            return
        now_ns = time.time_ns()
        stamp = Stamp(
            packet.pkt_num, packet.pkt_tai, packet.pkt_nsec, now_ns // 1_000_000_000, now_ns // 1000 % 1_000_000
        )
        if packet.product.is_movie:
            self._group(packet, stamp, packet.product.name, IMAGE_WINDOW_NS)
        elif self._groups_pulse_heights:
            self._group(packet, stamp, "ph1024", PULSE_HEIGHT_WINDOW_NS)
        else:
            pixels = oriented(packet.pixels, packet.quabo).tobytes()
            header = encode_header([stamp], packet.quabo)
            self._publish_raw(packet.module, RawFrame(packet.product, header, pixels))

    def _count_gap(self, packet: QuaboPacket) -> None:
        key = (packet.module, packet.quabo, packet.mode)
        missing = (packet.pkt_num - self._numbers.get(key, packet.pkt_num)) % _WRAP
        if missing >= _WRAP // 2:
            self.late_packets += 1
            return
        self.lost_packets += missing
        self._numbers[key] = (packet.pkt_num + 1) % _WRAP

    def _group(self, packet: QuaboPacket, stamp: Stamp, product: str, window_ns: int) -> None:
        key = (packet.module, product)
        group = self._groups.get(key)
        if group is None:
            group = self._groups[key] = PacketGroup(PRODUCTS[product], window_ns)
        if not group.has_room(packet):
            self._end(packet.module, group)
        group.add(packet, stamp, time.monotonic())
        if group.is_complete:
            self._end(packet.module, group)
        elif self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(PARTIAL_SECONDS, self._end_old)

    def _end_old(self) -> None:
        """Publish what has waited long enough."""
        self._timer = None
        now = time.monotonic()
        for (module, _), group in self._groups.items():
            if group.packets and now - group.opened >= PARTIAL_SECONDS:
                self._end(module, group)
        waiting = [group.opened for group in self._groups.values() if group.packets]
        if waiting:
            wait = max(min(waiting) + PARTIAL_SECONDS - now, 0.001)
            self._timer = asyncio.get_running_loop().call_later(wait, self._end_old)

    def _end(self, module: int, group: PacketGroup) -> None:
        if not group.is_complete:
            self.partial += 1
        self._publish_raw(module, group.take())

    def _publish_raw(self, module: int, raw: RawFrame) -> None:
        key = (module, raw.product.name)
        number = self._counts.get(key, 0)
        self._counts[key] = number + 1
        self._put(Frame.of(raw, module, f"udp_{raw.product.name}", number))
