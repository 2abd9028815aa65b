"""The facility of the campaign: instruments of the demo and the gauges, with the processes that a campaign breaks."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Collection, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

import psutil
import yaml

from servers.facility import programs, record
from servers.facility.environment import facility_environment
from servers.facility.pv_list import ServedPv, served_pvs
from tests.support.demo_facility import BIN
from tests.support.serving import ROOT, wait_until

DEMO: Final = ROOT / "dbconfig"
#: Servers of the demo, and what each needs beside itself: its simulators and services.
NEEDS: Final[Mapping[str, tuple[str, ...]]] = {
    "cryocon": ("cryocon1",),
    "saxs": ("saxs1", "leash"),
    "daq": ("daqdata",),
    "correlator": ("nodes1", "ingest"),
    "ccd": ("archon1", "azcam", "alpaca"),
    "dcss": ("dcss1", "camera1", "pictures"),
    "mirror": (),
    "alarms": (),
    "health": (),
}
WEB: Final = "web"  # stands for the panels
START_SECONDS: Final = 600.0
STOP_SECONDS: Final = 30.0
IMAGES: Final = "images"  # the mirror's process for large attributes
SUPERVISOR: Final = "facility"


def write_facility(folder: Path, servers: Collection[str], gauges: Mapping[str, str]) -> Path:
    """Write the files of a facility with servers of the demo and the gauges; returns the first.

    Args:
        servers: names of NEEDS, and ``web``; the mirror is always there.
        gauges: PV prefix -> where its meter is, tcp://HOST:PORT.
    """
    chosen = [name for name in NEEDS if name in {*servers, "mirror"}]
    demo = json.loads((DEMO / "demo.json").read_text().replace("@here", str(DEMO)))
    extra = yaml.safe_load((DEMO / "demo.facility.yaml").read_text().replace("@here", str(DEMO)))
    kept = {name: demo["servers"]["Diptych"][name] for name in chosen}
    kept["gauge"] = {
        "Gauge": {
            f"gauge/meter/{number}": {"properties": {"link": [link], "pv_prefix": [prefix]}}
            for number, (prefix, link) in enumerate(gauges.items(), 1)
        }
    }
    needed = {name for server in chosen for name in NEEDS[server]}
    path = folder / "faults.json"
    path.write_text(json.dumps({"servers": {"Diptych": kept}}, indent=1))
    files = {
        "faults.facility.yaml": {
            "classes": {**extra["classes"], "Gauge": "tests.faults.gauge:Gauge"},
            "simulators": {name: each for name, each in extra["simulators"].items() if name in needed},
            "services": {name: each for name, each in extra["services"].items() if name in needed},
            "mirrors": ["mirror"],
            **({"panels": str(ROOT / "opi")} if WEB in servers else {}),
            "history": {"archive": "faults.archive.yaml"},
            "start_order": ["gauge", *chosen],
        },
        "faults.archive.yaml": {"rules": [{"pv": "GAUGE*:Reading", "every": 0.5}]},
    }
    for name, content in files.items():
        (folder / name).write_text(yaml.safe_dump(content))
    return path


class Plant:
    """The facility while it runs, and between two runs."""

    def __init__(self, path: Path, state_dir: Path, offset: int) -> None:
        self.path, self.state_dir, self.offset = path, state_dir, offset
        self._output = path.with_name("up.log")
        self._supervisor: subprocess.Popen[bytes] | None = None

    def start(self, environment: Mapping[str, str]) -> None:
        """``diptych up``, until READY.

        Args:
            environment: of all its processes, beside that of this one.
        """
        words = ["up", str(self.path), "--state-dir", str(self.state_dir), "--port-offset", str(self.offset)]
        with self._output.open("ab") as output:
            before = output.tell()
            self._supervisor = subprocess.Popen(
                [str(BIN / "diptych"), *words], cwd=ROOT, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                env={**os.environ, "PYTHONPATH": str(ROOT), **environment}, start_new_session=True,
            )  # fmt: skip
        process = self._supervisor

        def is_ready() -> bool:
            return b"READY" in self._output.read_bytes()[before:] or process.poll() is not None

        wait_until(is_ready, START_SECONDS, f"READY in {self._output}")
        if process.poll() is not None:
            raise RuntimeError(f"diptych up has ended: {self._output.read_text()[-2000:]}")

    def stop(self) -> None:
        """End it as Ctrl-C does."""
        process, self._supervisor = self._supervisor, None
        if process is None or process.poll() is not None:
            return
        process.send_signal(signal.SIGINT)
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            self.wait_until_gone(self.processes())

    @property
    def endpoints(self) -> dict[str, str]:
        """What EPICS and Tango clients need in their environment."""
        running = self._record()
        return facility_environment(running.port_table, running.tango_host)

    @property
    def tango_host(self) -> str:
        return self._record().tango_host

    def port(self, service: str) -> int:
        return self._record().ports[service]

    def pvs(self) -> list[ServedPv]:
        """What the mirror serves now."""
        host = self.tango_host
        found: list[ServedPv] = wait_until(lambda: served_pvs(host), 120.0, "the mirror says what it serves")
        return found

    def processes(self) -> dict[str, int]:
        """Name -> pid, the supervisor and the mirror's process for images among them."""
        running = self._record()
        found = {SUPERVISOR: running.pid, **running.processes}
        with suppress(psutil.Error, KeyError):
            for child in psutil.Process(found["mirror"]).children(recursive=True):
                if "servers.epics.image_server" in " ".join(child.cmdline()):
                    found[IMAGES] = child.pid
        return found

    def pid(self, name: str) -> int:
        """Of a process that must be there, soon."""
        found: int = wait_until(lambda: self.processes().get(name), 30.0, f"{name} runs")
        return found

    def wait_for_another(self, name: str, pid: int, seconds: float) -> None:
        """Until another process has come in the place of one."""
        wait_until(lambda: self.processes().get(name, pid) != pid, seconds, f"{name} runs again")

    def kill_supervisor(self) -> dict[str, int]:
        """SIGKILL; what ran."""
        ran = self.processes()
        assert self._supervisor is not None
        self._supervisor.kill()
        self._supervisor.wait()
        return ran

    @staticmethod
    def wait_until_gone(processes: Mapping[str, int], seconds: float = 30.0) -> None:
        left = dict(processes)

        def all_gone() -> bool:
            for name in [name for name, pid in left.items() if not is_alive(pid)]:
                del left[name]
            return not left

        wait_until(all_gone, seconds, f"nothing of {sorted(left)} is left")

    def hold_back(self, name: str) -> None:
        """End a process and keep it from being started again, as ``diptych stop`` does."""
        pid = self.pid(name)
        programs.hold_back(self.state_dir, name)
        self.wait_until_gone({name: pid})

    def release(self, name: str) -> None:
        programs.release(self.state_dir, name)

    def _record(self) -> record.Running:
        found: record.Running = wait_until(lambda: record.running(self.state_dir), 30.0, "the facility runs")
        return found


def is_alive(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
