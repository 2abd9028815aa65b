"""A process of a benchmark that is told by lines and answers each with a line of JSON."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

from tests.support.serving import ROOT

PORTS = ("ca", "repeater", "pva", "search")


class Worker:
    """Runs ``python -m MODULE ARGUMENTS`` until the ``with`` block ends.

    Args:
        environment: beside that of this process.
    """

    def __init__(self, module: str, *arguments: str, environment: Mapping[str, str]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", module, *arguments], cwd=ROOT, env=os.environ | environment,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(5.0)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    @property
    def pid(self) -> int:
        return self._process.pid

    def ask(self, line: str) -> Any:
        self.tell(line)
        return self.answer()

    def tell(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()

    def answer(self) -> Any:
        """The next line of JSON; others are what libraries had to say."""
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.startswith("{"):
                return json.loads(line)
        raise AssertionError(f"{self._process.args} ended with {self._process.wait()}")


def free_ports() -> dict[str, int]:
    """Free ports of an EPICS server, by what they are for."""
    with_sockets = [socket.create_server(("127.0.0.1", 0)) for _ in PORTS]
    ports = {name: int(each.getsockname()[1]) for name, each in zip(PORTS, with_sockets, strict=True)}
    for each in with_sockets:
        each.close()
    return ports


def epics_environment(ports: Mapping[str, int]) -> dict[str, str]:
    """For clients, and for servers that are configured by it."""
    return {
        "EPICS_CA_ADDR_LIST": "127.0.0.1",
        "EPICS_CA_AUTO_ADDR_LIST": "NO",
        "EPICS_CA_SERVER_PORT": str(ports["ca"]),
        "EPICS_CA_REPEATER_PORT": str(ports["repeater"]),
        "EPICS_CAS_INTF_ADDR_LIST": "127.0.0.1",
        "EPICS_PVA_AUTO_ADDR_LIST": "NO",
        "EPICS_PVA_ADDR_LIST": "127.0.0.1",
        "EPICS_PVA_NAME_SERVERS": f"127.0.0.1:{ports['pva']}",
        "EPICS_PVA_SERVER_PORT": str(ports["pva"]),
        "EPICS_PVA_BROADCAST_PORT": str(ports["search"]),
        "EPICS_PVAS_INTF_ADDR_LIST": "127.0.0.1",
    }
