"""Everything that a campaign runs: the facility, its meters, the network between them, and the clients."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path
from typing import Final

from p4p.client.thread import Context

from tests.faults.cable import Cable
from tests.faults.clock import Clock
from tests.faults.ledger import Images, Ledger, Records, lost_in_audit, lost_in_cryocon, lost_in_meter
from tests.faults.memory import Memory
from tests.faults.plant import Plant, write_facility
from tests.faults.proxy import Proxy
from tests.faults.watch import Watch, Watcher
from tests.support.demo_facility import free_offset
from tests.support.serving import ROOT

DISK: Final = "600M"  # of the state directory
CLOCK, FAR_CLOCK, LEVEL = "GAUGE1:Reading", "GAUGE2:Reading", "GAUGE1:Level"
FAR_PVS: Final = (CLOCK, FAR_CLOCK, "GAUGE1:State", "GAUGE2:State", "MIRROR1:State")
CRYOCON: Final = "CRYO1:Setpoint1"
CAMERA: Final = "CCD1:Expose"
CALM_S: Final = 10.0  # in which no other PV has become good: then it is said which ones are when all is well
CONNECT_SECONDS: Final = 180.0
CROWDS: Final = 2, 10  # processes, and clients in each


class Scene:
    """Made by ``build``, ended by ``close``.

    Args:
        folder: for everything; the state directory in it is a small disk of its own where that can be made.
        servers: of the demo.
    """

    def __init__(self, folder: Path, servers: Collection[str], seed: int) -> None:
        self.folder, self.servers, self.seed = folder, servers, seed
        self.cable: Cable | None = None
        self.notes: list[str] = []
        self.clock: Clock | None = None
        self.has_small_disk = False
        self.watch = Watch()
        self.ledger = Ledger(folder / "acknowledged.jsonl")
        self.images = Images(self.ledger)
        self._meters: list[subprocess.Popen[str]] = []
        self._operator: subprocess.Popen[str] | None = None
        self._cryocon_since = 0.0
        self._context: Context | None = None
        self._told: set[float] = set()
        self._gateways: list[Proxy] = []

    def build(self) -> None:
        """Start all of it, until every PV is good that ever will be."""
        state_dir = self.folder / "state"
        state_dir.mkdir(parents=True)
        self._mount(state_dir)
        self._lay_cable()
        try:
            self.clock = Clock(self.folder)
        except OSError as error:
            self.notes.append(f"the clock was not moved: {error}")
        self._port = 0
        self.start_meter()
        self.proxy = Proxy(self._port)
        self._gateways.append(self.proxy)
        gauges = {"GAUGE1:": f"tcp://127.0.0.1:{self.proxy.port}"}
        if self.cable is not None:
            far = self._meter([*self.cable.inside], self.cable.there, 0, "far.journal")
            gauges["GAUGE2:"] = f"tcp://{self.cable.there}:{far}"
        path = write_facility(self.folder, self.servers, gauges)
        self.plant = Plant(path, state_dir, free_offset())
        self.start_plant()
        self.records = [Records(state_dir / "history" / "history.sqlite", pv) for pv in self._clocks]
        self.memory = Memory(self.plant.processes)
        self.memory.start()
        self._watch()

    def close(self) -> None:
        self.watch.end()
        self._end_operator()
        if hasattr(self, "memory"):
            self.memory.stop()
        if hasattr(self, "plant"):
            self.plant.stop()
        if self._context is not None:
            self._context.close()
        for gateway in self._gateways:
            gateway.close()
        for meter in self._meters:
            meter.kill()
            meter.wait()
        if self.cable is not None:
            carried, lost = self.cable.remove()
            self.notes.append(f"the cable carried {carried} frames and lost {lost}")
        if self.has_small_disk:  # it goes, its logs stay
            shutil.copytree(self.folder / "state" / "log", self.folder / "log", dirs_exist_ok=True)
            subprocess.run(["umount", str(self.folder / "state")], check=False, capture_output=True)

    def start_plant(self) -> None:
        self.plant.start({} if self.clock is None else self.clock.environment)
        if self.clock is not None and not self.clock.is_of(self.plant.pid("gauge")):
            raise RuntimeError("the facility has not the clock that it was given")

    # What faults do.

    @property
    def meter_pid(self) -> int:
        return self._meters[-1].pid

    def start_meter(self) -> None:
        self._port = self._meter([], "127.0.0.1", self._port, "near.journal")

    def stop_meter(self) -> None:
        meter = self._meters.pop()
        meter.kill()
        meter.wait()

    def forget(self, name: str) -> None:
        """A process was killed: what it alone knew is gone."""
        if name == "sim.cryocon1":
            self._cryocon_since = time.monotonic()

    def set_load(self, times: int) -> None:
        assert self._context is not None
        self._context.put("GAUGE1:Load", times, wait=True, timeout=30.0)

    def crowds(self) -> list[subprocess.Popen[str]]:
        processes, clients = CROWDS
        crowds = []
        for _ in range(processes):
            crowd = subprocess.Popen(
                [sys.executable, "-m", "tests.faults.crowd", str(clients)],
                cwd=ROOT, env=self._environment, stdin=subprocess.PIPE, text=True,
            )  # fmt: skip
            assert crowd.stdin is not None
            crowd.stdin.write("\n".join(self._pvs))
            crowd.stdin.close()
            crowds.append(crowd)
        return crowds

    # What is checked.

    def lost(self, allowed: list[tuple[float, float]], unaudited: list[tuple[float, float]]) -> list[str]:
        """What was acknowledged and is not there; each is told once.

        Args:
            allowed: when gauges could not be recorded.
            unaudited: when the audit had no room.
        """
        now = time.monotonic()
        problems = lost_in_meter(self.ledger, LEVEL, self.folder / "near.journal")
        for entry in lost_in_audit(self.ledger, self.plant.state_dir / "log"):
            had_room = not any(begun <= entry["ended"] and entry["begun"] <= ended for begun, ended in unaudited)
            if had_room and entry["begun"] not in self._told:
                self._told.add(entry["begun"])
                problems.append(f"no line in the audit: {entry['name']} = {entry['value']}")
        if "cryocon" in self.servers:
            problems += lost_in_cryocon(self.ledger, CRYOCON, self.plant.port("sim.cryocon1"), self._cryocon_since)
        problems += self.images.lost()
        for records in self.records:
            problems += records.lost(now, self.begun, allowed)
        return problems

    @property
    def _clocks(self) -> list[str]:
        return [CLOCK] if self.cable is None else [CLOCK, FAR_CLOCK]

    def _watch(self) -> None:
        """Watch every number of the facility, then let the operator work."""
        self._environment = os.environ | self.plant.endpoints
        pva = {name: text for name, text in self._environment.items() if name.startswith("EPICS_PVA_")}
        self._context = Context("pva", conf=pva, useenv=False, nt=False)
        self._pvs = [pv.name for pv in self.plant.pvs() if pv.is_archived]
        log = self.folder / "clients.log"
        for protocol in ("ca", "pva"):
            self.watch.watchers.append(Watcher(protocol, protocol, self._pvs, self._clocks, self._environment, log))
        if self.cable is not None:
            self._watch_from_afar(self.cable, log)
        settings = [(LEVEL, (1.0, 9.0))] + ([(CRYOCON, (20.0, 30.0))] if "cryocon" in self.servers else [])
        with log.open("ab") as errors:
            self._operator = subprocess.Popen(
                [sys.executable, "-m", "tests.faults.operator"],
                cwd=ROOT, env=self._environment, text=True,
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors,
            )  # fmt: skip
        assert self._operator.stdin is not None
        asked = {"settings": settings, "camera": CAMERA if "ccd" in self.servers else ""}
        self._operator.stdin.write(json.dumps(asked) + "\n")
        self._operator.stdin.flush()
        threading.Thread(target=self._take, daemon=True).start()
        left_out = self._never_good()
        for watcher in self.watch.watchers:
            watcher.leave_out(left_out)
        self.watch.take_oldest()
        self.begun = time.monotonic()
        self.notes.append(
            f"{len(self._pvs) - len(left_out)} PVs watched by {len(self.watch.watchers)} clients; not good in this "
            f"facility, also when all is well: {', '.join(sorted(left_out)) or 'none'}"
        )

    def _never_good(self) -> set[str]:
        """PVs without a good value, such as an image's statistics before the first one: when no more become good."""
        deadline = time.monotonic() + CONNECT_SECONDS
        needed = set(FAR_PVS) if self.cable is not None else {CLOCK}
        bad, since = self.watch.bad(), time.monotonic()
        while time.monotonic() - since < CALM_S or needed & set().union(*bad.values()):
            if time.monotonic() > deadline:
                raise RuntimeError(f"not good within {CONNECT_SECONDS:g} s: {bad}")
            time.sleep(0.2)
            now = self.watch.bad()
            if now != bad:
                bad, since = now, time.monotonic()
        return set().union(*bad.values())

    def _watch_from_afar(self, cable: Cable, log: Path) -> None:
        """Two clients more on the other host, which reach the mirror through the cable, by TCP alone."""
        ports = {service: self.plant.port(service) for service in ("ca", "pva")}
        self._gateways += [Proxy(port, (cable.here, port)) for port in ports.values()]
        environment = {name: text for name, text in os.environ.items() if not name.startswith("EPICS_")} | {
            f"EPICS_{protocol}_{name}": value
            for protocol, port in (("CA", ports["ca"]), ("PVA", ports["pva"]))
            for name, value in (("AUTO_ADDR_LIST", "NO"), ("ADDR_LIST", ""), ("NAME_SERVERS", f"{cable.here}:{port}"))
        }
        for protocol in ("ca", "pva"):
            self.watch.watchers.append(
                Watcher(f"far {protocol}", protocol, FAR_PVS, self._clocks, environment, log, cable.inside, is_far=True)
            )

    def _take(self) -> None:
        assert self._operator is not None and self._operator.stdout is not None
        for line in self._operator.stdout:
            with suppress(json.JSONDecodeError):
                self.ledger.take(json.loads(line))

    def _end_operator(self) -> None:
        if self._operator is None or self._operator.stdin is None:
            return
        self._operator.stdin.close()
        try:
            self._operator.wait(30.0)
        except subprocess.TimeoutExpired:
            self._operator.kill()
            self._operator.wait()

    def _meter(self, before: list[str], host: str, port: int, journal: str) -> int:
        meter = subprocess.Popen(
            [*before, sys.executable, "-m", "tests.faults.meter", host, str(port), str(self.folder / journal)],
            cwd=ROOT, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        self._meters.insert(0, meter) if before else self._meters.append(meter)
        assert meter.stdout is not None
        return int(meter.stdout.readline())

    def _mount(self, state_dir: Path) -> None:
        words = ["mount", "-t", "tmpfs", "-o", f"size={DISK}", "diptych-faults", str(state_dir)]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        self.has_small_disk = done.returncode == 0
        if not self.has_small_disk:
            self.notes.append(f"no disk was filled: {done.stderr.strip()}")

    def _lay_cable(self) -> None:
        cable = Cable()
        try:
            cable.lay(self.seed)
        except (OSError, subprocess.CalledProcessError) as error:
            cable.remove()
            self.notes.append(f"no cable was cut, no frame lost: {getattr(error, 'stderr', '') or error}")
        else:
            self.cable = cable
