"""A facility of one device and its mirror, run by ``diptych up`` on free ports, as a site runs its own."""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import tango

from tests.facility.running import Up, command, wait_for
from tests.support.demo_facility import free_offset

DEVICE, PREFIX = "bench/spectrograph/1", "SPEC1:"

SERVERS = {
    "bench": {"Spectrograph": {DEVICE: {"properties": {"pv_prefix": [PREFIX]}}}},
    "mirror": {
        "EpicsMirror": {
            "mirror/epics/1": {
                "properties": {
                    "pv_prefix": ["MIRROR1:"],
                    "channel_access": ["@ca"],
                    "ca_repeater": ["@ca_repeater"],
                    "pv_access": ["@pva"],
                    "pva_broadcast": ["@pva_broadcast"],
                    "access_file": ["@state/access.yaml"],
                    "audit_file": ["@state/audit.jsonl"],
                }
            }
        }
    },
}
FACILITY = {
    "classes": {
        "Spectrograph": "tests.clients.instrument:Spectrograph",
        "EpicsMirror": "servers.epics.device:EpicsMirror",
    },
    "mirrors": ["mirror"],
    "start_order": ["bench", "mirror"],
}
#: Programs of this host may write what operators write; nothing of the level expert.
ACCESS = [{"network": "this-host", "level": "operator"}]


@dataclass(frozen=True)
class Bench:
    """The running facility, and what a shell has after ``eval "$(diptych env)"``."""

    up: Up
    environment: dict[str, str]

    @property
    def device(self) -> tango.DeviceProxy:
        """The spectrograph, for what the hardware does by itself."""
        return tango.DeviceProxy(f"tango://{self.environment['TANGO_HOST']}/{DEVICE}")

    def hardware(self, kelvin: float) -> None:
        """Somebody turns the temperature at the front panel."""
        self.device.turn_front_panel(kelvin)

    def publish(self, name: str, value: float, **reading: object) -> None:
        """The hardware gives a reading: its value, ``timestamp`` (s) and ``quality``."""
        self.device.publish_value(json.dumps({"name": name, "value": value, **reading}))

    def rest(self) -> None:
        """End every operation."""
        device = self.device
        device.abort("")
        wait_for(lambda: not device.read_attribute("operation").value, 5.0, "no operation runs")

    def kill_mirror(self) -> None:
        """The mirror is gone; the facility starts it again by itself."""
        os.kill(self.up.pid("mirror"), signal.SIGKILL)

    def log(self, name: str) -> str:
        return (self.up.state_dir / "log" / f"{name}.log").read_text()


@contextlib.contextmanager
def bench(folder: Path, state_dir: Path) -> Iterator[Bench]:
    """The facility, READY, its files in ``folder``; nothing is left of it at the end."""
    folder.mkdir(parents=True, exist_ok=True)
    state_dir.mkdir(parents=True, exist_ok=True)
    (state_dir / "access.yaml").write_text(json.dumps(ACCESS))  # JSON is YAML
    path = folder / "bench.json"
    path.write_text(json.dumps({"servers": {"Diptych": SERVERS}}))
    path.with_suffix(".facility.yaml").write_text(json.dumps(FACILITY))
    up = Up(path, state_dir, "--port-offset", str(free_offset()))
    try:
        up.wait_ready()
        yield Bench(up, environment(state_dir))
    finally:
        up.end()


def environment(state_dir: Path) -> dict[str, str]:
    """The environment of a shell after ``eval "$(diptych env --state-dir ...)"``."""
    exported = command("env", "--state-dir", state_dir)
    assert exported.returncode == 0, exported.stderr
    assignments = [shlex.split(line.removeprefix("export "))[0] for line in exported.stdout.splitlines()]
    variables = dict(assignment.split("=", 1) for assignment in assignments)
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("EPICS_", "TANGO_"))}
    return {**inherited, **variables, "PATH": variables["PATH"].replace("$PATH", os.environ["PATH"])}
