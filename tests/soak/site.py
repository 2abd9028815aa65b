"""The facility of the soak: its files, and what the driver needs of it while it runs."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import tango

from tests.soak import values
from tests.support.demo_facility import Facility
from tests.support.serving import wait_until

RETURN_SECONDS = 30.0


def device(rack: int) -> str:
    return f"soak/rack/{rack}"


def server(rack: int) -> str:
    return f"racks{rack * values.SERVERS // values.RACKS}"


def racks_of(server_number: int) -> range:
    each = values.RACKS // values.SERVERS
    return range(server_number * each, (server_number + 1) * each)


def write_facility(folder: Path) -> Path:
    """Write both files and return the first."""
    servers: dict[str, Any] = {
        f"racks{number}": {
            "Rack": {
                device(rack): {"properties": {"rack": [str(rack)], "pv_prefix": [f"RACK{rack}:"]}}
                for rack in racks_of(number)
            }
        }
        for number in range(values.SERVERS)
    }
    endpoints = ("channel_access=@ca", "ca_repeater=@ca_repeater", "pv_access=@pva", "pva_broadcast=@pva_broadcast",
                 "ca_images=@ca_images", "pva_images=@pva_images", "audit_file=@state/log/audit.jsonl")  # fmt: skip
    properties = {name: [place] for name, _, place in (each.partition("=") for each in endpoints)}
    mirror = {"mirror/epics/1": {"properties": {"pv_prefix": ["MIRROR1:"], **properties}}}
    path = folder / "soak.json"
    path.write_text(json.dumps({"servers": {"Diptych": {**servers, "mirror": {"EpicsMirror": mirror}}}}))
    extra = {
        "classes": {"Rack": "tests.soak.rack:Rack", "EpicsMirror": "servers.epics.device:EpicsMirror"},
        "mirrors": ["mirror"],
        "start_order": [*servers, "mirror"],
    }
    (folder / "soak.facility.yaml").write_text(json.dumps(extra))  # JSON is YAML
    return path


class Site:
    """The running facility."""

    def __init__(self, facility: Facility) -> None:
        self.facility = facility
        self.tango_host = facility.environment["TANGO_HOST"]
        self.mirror = facility.child("mirror")
        self.images = self._child_of(self.mirror, "servers.epics.image_server")

    def proxy(self, name: str) -> Any:
        return tango.DeviceProxy(f"tango://{self.tango_host}/{name}")

    def kill(self, server_number: int) -> None:
        """SIGKILL a device server and wait until another one has come in its place."""
        victim: psutil.Process = wait_until(lambda: self._server(f"racks{server_number}"), 10.0, "there is a server")
        victim.kill()
        racks = racks_of(server_number)
        wait_until(lambda: not victim.is_running(), 10.0, "the server is dead")
        wait_until(lambda: all(self.sequence(rack) for rack in racks), RETURN_SECONDS, "the server is back")

    def sequence(self, rack: int) -> int:
        """The sequence number of the last values of a rack, as its device has it."""
        return int(self.proxy(device(rack)).read_attribute("sequence").value or 0)

    def statistics(self) -> dict[str, Any]:
        """What the mirror says of itself."""
        proxy = self.proxy("mirror/epics/1")
        names = ("pvs", "skipped", "event_losses", "puts", "refused_puts", "image_starts", "ca_clients", "pva_channels")
        return {name: proxy.read_attribute(name).value for name in names}

    def log_lines(self, wanted: Callable[[str], bool]) -> list[str]:
        """Lines of the mirror's log."""
        paths = sorted((self.facility.state_dir / "log").glob("mirror*.log*"))
        assert paths, f"no log in {self.facility.state_dir}"
        return [line for path in paths for line in path.read_text(errors="replace").splitlines() if wanted(line)]

    def _server(self, name: str) -> psutil.Process | None:
        for process in self.facility.children():
            with contextlib.suppress(psutil.Error):  # another one ended just now
                if name in process.cmdline():
                    return process
        return None

    @staticmethod
    def _child_of(parent: psutil.Process, word: str) -> psutil.Process:
        def found() -> list[psutil.Process]:
            return [each for each in parent.children(recursive=True) if word in " ".join(each.cmdline())]

        found_now: list[psutil.Process] = wait_until(found, 20.0, f"{word} runs")
        return found_now[-1]
