"""A cable to another host that loses frames: two network cards, and in the middle a forwarder that draws lots.

The kernel's own emulation (netem) is not everywhere. Here the frames that come out of one end of the cable are read and
written into the other one by packet sockets, all in a network of its own; needs root on Linux.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import random
import select
import socket
import struct
import subprocess
import sys
from contextlib import suppress
from typing import Final

from tests.support.serving import ROOT

ALL_PROTOCOLS: Final = 3
OUTGOING: Final = 4  # packet type of what this socket itself has sent
FRAME_BYTES: Final = 65536
QUEUE_BYTES: Final = 16 << 20
SO_RCVBUFFORCE: Final = 33
SIOCETHTOOL: Final = 0x8946
#: ethtool's switches of checksums, segmentation (TSO, GSO) and merging (GRO): frames are to be as on a wire.
OFFLOADS: Final = (0x17, 0x1F, 0x24, 0x2C)


class Cable:
    """A cable from this host (``here``) to a host with nothing else (``there``)."""

    def __init__(self) -> None:
        number = os.getpid() % 16000
        self.far, self.middle = f"far{os.getpid()}", f"mid{os.getpid()}"  # names of networks
        near, there = number * 4 + 1, number * 4 + 2
        self.here, self.there = (f"10.253.{host >> 8}.{host & 255}" for host in (near, there))
        self._ends = tuple(f"{letter}{os.getpid()}" for letter in ("fa", "fb", "fc", "fd"))
        self._forwarder: subprocess.Popen[str] | None = None

    def lay(self, seed: int) -> None:
        """Make it, without loss.

        Raises:
            OSError, subprocess.CalledProcessError: networks cannot be made here.
        """
        a, b, c, d = self._ends
        for words in (
            f"netns add {self.far}",
            f"netns add {self.middle}",
            f"link add {a} type veth peer name {b}",
            f"link add {d} type veth peer name {c}",
        ):
            _ip(words)
        for end in self._ends:
            _as_on_a_wire(end)
        for words in (
            f"link set {b} netns {self.middle}",
            f"link set {c} netns {self.middle}",
            f"link set {d} netns {self.far}",
            f"addr add {self.here}/30 dev {a}",
            f"link set {a} up",
            f"-n {self.far} addr add {self.there}/30 dev {d}",
            f"-n {self.far} link set {d} up",
            f"-n {self.far} link set lo up",
            f"-n {self.middle} link set {b} up",
            f"-n {self.middle} link set {c} up",
        ):
            _ip(words)
        inside = ["ip", "netns", "exec", self.middle, sys.executable, "-m", "tests.faults.cable", b, c, str(seed)]
        self._forwarder = subprocess.Popen(inside, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self._forwarder.stdout is not None
        self._forwarder.stdout.readline()

    def lose(self, part: float) -> None:
        """Lose this part of all frames, each way; 1.0 is a cable that was pulled."""
        forwarder = self._forwarder
        assert forwarder is not None and forwarder.stdin is not None and forwarder.stdout is not None
        forwarder.stdin.write(f"{part}\n")
        forwarder.stdin.flush()
        forwarder.stdout.readline()

    @property
    def inside(self) -> list[str]:
        """What a command line begins with that runs on the other host."""
        return ["ip", "netns", "exec", self.far]

    def remove(self) -> list[int]:
        """Remove it; frames carried and lost."""
        counts = [0, 0]
        if self._forwarder is not None:
            said, _ = self._forwarder.communicate(timeout=10.0)
            counts = [int(word) for word in said.split()]
        for words in (f"link del {self._ends[0]}", f"netns del {self.middle}", f"netns del {self.far}"):
            subprocess.run(["ip", *words.split()], check=False, capture_output=True, timeout=10.0)
        return counts


def _ip(words: str) -> None:
    subprocess.run(["ip", *words.split()], check=True, capture_output=True, text=True, timeout=10.0)


def _as_on_a_wire(card: str) -> None:
    """Checksums are in the frames, and no frame is larger than the wire takes."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        for switch in OFFLOADS:
            off = ctypes.create_string_buffer(struct.pack("II", switch, 0))
            fcntl.ioctl(any_socket, SIOCETHTOOL, struct.pack("16sP", card.encode(), ctypes.addressof(off)))


def forward(one: str, other: str, seed: int) -> tuple[int, int]:
    """Carry frames both ways until standard input ends, which says how many to lose; how many were carried and lost."""
    lots, part, counts = random.Random(seed), 0.0, [0, 0]
    cards = [socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ALL_PROTOCOLS)) for _ in range(2)]
    for card, name in zip(cards, (one, other), strict=True):
        card.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, QUEUE_BYTES)  # a busy machine is not to lose any itself
        card.setblocking(False)
        card.bind((name, 0))
    targets = {cards[0]: cards[1], cards[1]: cards[0]}
    print("ready", flush=True)
    while True:
        ready, _, _ = select.select([*cards, sys.stdin], [], [])
        for source, target in targets.items():
            with suppress(BlockingIOError):
                while True:
                    frame, (_, _, kind, *_) = source.recvfrom(FRAME_BYTES)
                    if kind != OUTGOING:
                        is_lost = lots.random() < part
                        counts[is_lost] += 1
                        if not is_lost:
                            target.send(frame)
        if sys.stdin in ready:
            line = sys.stdin.readline()
            if not line:
                return counts[0], counts[1]
            part = float(line)
            print("done", flush=True)


if __name__ == "__main__":
    print(*forward(sys.argv[1], sys.argv[2], int(sys.argv[3])), flush=True)
