"""Another host: a network namespace with a cable to this one. Needs root on Linux; tests skip where there is none."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest


class OtherHost:
    """A veth pair from this host to a network namespace, the other host."""

    def __init__(self) -> None:
        # Interface names have 15 letters at most; several tests run at once.
        self.space = f"diptych{os.getpid()}"
        number = os.getpid() % 16384
        near, far = number * 4 + 1, number * 4 + 2
        self.here, self.there = (f"10.254.{host >> 8}.{host & 255}" for host in (near, far))
        self.ends = f"dh{os.getpid()}", f"dt{os.getpid()}"

    def make(self) -> None:
        near, far = self.ends
        for words in (
            f"netns add {self.space}",
            f"link add {near} type veth peer name {far}",
            f"link set {far} netns {self.space}",
            f"addr add {self.here}/30 dev {near}",
            f"link set {near} up",
            f"-n {self.space} addr add {self.there}/30 dev {far}",
            f"-n {self.space} link set {far} up",
            f"-n {self.space} link set lo up",
            f"-n {self.space} route add default via {self.here}",
        ):
            subprocess.run(["ip", *words.split()], check=True, capture_output=True, text=True, timeout=10.0)

    def remove(self) -> None:
        for words in (f"link del {self.ends[0]}", f"netns del {self.space}"):
            subprocess.run(["ip", *words.split()], check=False, capture_output=True, timeout=10.0)

    def cut(self, is_cut: bool = True) -> None:
        """Pull the cable at the other end, or put it in again; nobody here is told."""
        state = "down" if is_cut else "up"
        words = f"-n {self.space} link set {self.ends[1]} {state}"
        subprocess.run(["ip", *words.split()], check=True, capture_output=True, timeout=10.0)

    def start(self, script: str, *words: str) -> subprocess.Popen[str]:
        """A Python script on the other host that runs on; its standard output can be read."""
        inside = ["ip", "netns", "exec", self.space, sys.executable, "-c", script, *words]
        return subprocess.Popen(inside, stdout=subprocess.PIPE, text=True)

    def run(self, script: str, *words: str) -> subprocess.CompletedProcess[str]:
        """A Python script on the other host."""
        inside = ["ip", "netns", "exec", self.space, sys.executable, "-c", script, *words]
        return subprocess.run(inside, capture_output=True, text=True, timeout=40.0)


@pytest.fixture
def other_host() -> Iterator[OtherHost]:
    host = OtherHost()
    try:
        try:
            host.make()
        except (OSError, subprocess.CalledProcessError) as error:
            pytest.skip(f"network namespaces cannot be made here: {getattr(error, 'stderr', '') or error}")
        yield host
    finally:
        host.remove()
