"""A facility with two mirrors that stand in for each other."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import tango

from tests.clients.bench import environment
from tests.facility.running import Up, wait_for
from tests.failover.pair import DEVICE, write_pair
from tests.support.demo_facility import free_offset

HOLDER, STANDBY = 1, 2


@dataclass(frozen=True)
class Pair:
    """The running facility; its mirrors have the numbers 1 and 2."""

    up: Up
    environment: dict[str, str]

    def proxy(self, device: str) -> tango.DeviceProxy:
        return tango.DeviceProxy(f"tango://{self.environment['TANGO_HOST']}/{device}")

    def publish(self, name: str, value: float) -> None:
        self.proxy(DEVICE).publish_value(json.dumps({"name": name, "value": value}))

    def role(self, number: int) -> int | None:
        """What a mirror says it is; None while it does not answer."""
        try:
            return int(self.proxy(f"mirror/epics/{number}").read_attribute("role").value)
        except (tango.DevFailed, TypeError):
            return None

    def holder(self) -> int:
        """The number of the mirror that serves, once the other one stands by."""

        def settled() -> bool:
            return sorted((self.role(1) or 0, self.role(2) or 0)) == [HOLDER, STANDBY]

        wait_for(settled, 60.0, "one mirror serves, the other one stands by")
        return 1 if self.role(1) == HOLDER else 2

    def kill(self, number: int) -> None:
        os.kill(self.up.pid(f"mirror{number}"), signal.SIGKILL)

    def log(self, number: int) -> str:
        return (self.up.state_dir / "log" / f"mirror{number}.log").read_text()


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Pair]:
    up = Up(write_pair(tmp_path / "site"), tmp_path / "state", "--port-offset", str(free_offset()))
    try:
        wait_for(lambda: "READY" in up.output, 150.0, "READY")
        yield Pair(up, environment(tmp_path / "state"))
    finally:
        up.end()
