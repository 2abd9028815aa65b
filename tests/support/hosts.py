"""Several hosts: network namespaces whose cables meet in a switch. Needs root on Linux, and iproute2."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence

import pytest

from tests.support.debian import program


class Hosts:
    """Hosts with the addresses ``10.253.N.1``, ``.2`` ...; the switch is a namespace of its own.

    Args:
        names: of the hosts, in the order of their addresses.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self._ip = program("ip", "iproute2")
        self._net = f"10.253.{os.getpid() % 250 + 1}"
        self._space = f"dn{os.getpid()}"  # interface names have 15 letters at most, namespaces more
        self.names = list(names)

    def address(self, host: str) -> str:
        return f"{self._net}.{self.names.index(host) + 1}"

    @property
    def broadcast(self) -> str:
        return f"{self._net}.255"

    def make(self) -> None:
        """Skips the test where namespaces cannot be made, unless continuous integration runs it as root."""
        try:
            self._do(f"netns add {self._space}")
            self._do(f"-n {self._space} link add switch type bridge")
            self._do(f"-n {self._space} link set switch up")
            for number, host in enumerate(self.names):
                space = self._of(host)
                self._do(f"netns add {space}")
                self._do(f"-n {self._space} link add port{number} type veth peer name cable netns {space}")
                self._do(f"-n {self._space} link set port{number} master switch up")
                self._do(f"-n {space} addr add {self.address(host)}/24 brd {self.broadcast} dev cable")
                self._do(f"-n {space} link set cable up")
                self._do(f"-n {space} link set lo up")
                # p4p tells programs of its host about searches over this group of the loopback interface
                self._do(f"-n {space} link set lo multicast on")
                self._give_up_early(space)
        except (OSError, subprocess.CalledProcessError) as error:
            reason = f"network namespaces cannot be made here: {getattr(error, 'stderr', '') or error}"
            if os.environ.get("CI") and os.geteuid() == 0:
                pytest.fail(reason, pytrace=False)
            pytest.skip(reason)

    def remove(self) -> None:
        for space in (*(self._of(host) for host in self.names), self._space):
            subprocess.run([self._ip, "netns", "del", space], check=False, capture_output=True, timeout=20.0)

    def cut(self, host: str, is_cut: bool = True) -> None:
        """Pull the cable of a host out of the switch, or put it in again; nobody is told."""
        state = "down" if is_cut else "up"
        self._do(f"-n {self._space} link set port{self.names.index(host)} {state}")

    def words(self, host: str, *words: str) -> list[str]:
        """The command line that runs words on a host.

        It has a name of its own, as omniORB speaks through a socket file in /tmp to whoever has the same. The name
        is the address, which resolves everywhere.
        """
        named = ["unshare", "--uts", "sh", "-c", 'hostname "$0" && exec "$@"', self.address(host)]
        return [self._ip, "netns", "exec", self._of(host), *named, *words]

    def python(self, host: str, *words: str, environment: Mapping[str, str] | None = None) -> subprocess.Popen[str]:
        """A Python program on a host; what it prints can be read."""
        return subprocess.Popen(
            self.words(host, sys.executable, "-u", *words), stdout=subprocess.PIPE, text=True, env=environment
        )

    def _give_up_early(self, space: str) -> None:
        """Let its kernel end a connection 13 s after its other end went silent; by itself it waits for 15 minutes."""
        told = "echo 5 > /proc/sys/net/ipv4/tcp_retries2"
        subprocess.run([self._ip, "netns", "exec", space, "sh", "-c", told], check=False, capture_output=True)

    def _of(self, host: str) -> str:
        return f"{self._space}-{host}"

    def _do(self, words: str) -> None:
        subprocess.run([self._ip, *words.split()], check=True, capture_output=True, text=True, timeout=20.0)
