"""Facilities that systemd or Tango's Starter keep running, instead of `diptych up`."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import tango

from servers.facility.readiness import server_answers
from servers.facility.tango_database import open_database
from tests.facility.running import command, wait_for
from tests.production.cold_site import DEVICE, write_site
from tests.production.mariadb import DataBaseds, end
from tests.support.debian import program
from tests.support.demo_facility import free_offset
from tests.support.systemd import running_systemd

pytestmark = [pytest.mark.production, pytest.mark.timeout(400)]


def temperature_k(state_dir: Path) -> str:
    return command("get", f"{DEVICE}/temperature_a", "--state-dir", state_dir).stdout


def reads(state_dir: Path) -> bool:
    return temperature_k(state_dir).strip().endswith(" K")


def test_systemd_runs_a_facility_with_its_own_database(tmp_path: Path) -> None:
    site, state = write_site(tmp_path / "with space 100 %"), tmp_path / "var"
    place = ["--state-dir", state, "--port-offset", free_offset()]
    with running_systemd(tmp_path / "systemd") as systemd:
        done = command("install-units", site, *place, "--folder", systemd.units)
        assert done.returncode == 0, done.stderr
        assert "systemctl enable --now diptych-cold.target" in done.stdout
        assert systemd.complaints("diptych-cold.target") == ""
        systemd.systemctl("daemon-reload")
        systemd.systemctl("start", "diptych-cold.target")
        wait_for(lambda: reads(state), 120.0, "the temperature is read")
        assert "cryo/cryocon/1" in command("ls", "--state-dir", state).stdout

        first = int(systemd.figure("diptych-cold-cryocon.service", "MainPID"))
        os.kill(first, signal.SIGKILL)
        wait_for(lambda: int(systemd.figure("diptych-cold-cryocon.service", "MainPID")) not in (0, first), 30.0, "anew")
        wait_for(lambda: reads(state), 120.0, "the temperature is read again")

        # The commands know who keeps the processes.
        refused = command("stop", "cryocon", "--state-dir", state)
        assert "systemctl stop diptych-cold-cryocon.service" in refused.stderr
        again = command("up", site, *place)
        assert again.returncode == 1 and "is in use by the facility of pid" in again.stderr

        servers = [int(systemd.figure(f"diptych-cold-{name}.service", "MainPID")) for name in ("mirror", "database")]
        systemd.systemctl("stop", "diptych-cold.target")
        wait_for(lambda: not [pid for pid in servers if psutil.pid_exists(pid)], 30.0, "nothing is left")
        gone = command("install-units", site, *place, "--folder", systemd.units, "--remove")
        assert "diptych-cold.target removed" in gone.stdout
        assert not list(systemd.units.glob("diptych*"))


@contextlib.contextmanager
def running_starter(production: DataBaseds, folder: Path) -> Iterator[tango.DeviceProxy]:
    """Debian's Starter, which finds the servers of this machine in the database."""
    machine = socket.gethostname()
    name = f"tango/admin/{machine}"
    database = open_database(production.tango_host)
    info = tango.DbDevInfo()
    info.server, info._class, info.name = f"Starter/{machine}", "Starter", name
    database.add_device(info)
    database.put_device_property(name, {"StartDsPath": [str(folder)], "AutoRestartDuration": ["1"]})
    # Not as another account: it has to reach this Python and this checkout.
    words = ["setpriv", "--pdeathsig", "TERM", program("Starter", "tango-starter"), machine]
    with (folder.parent / "starter.log").open("wb") as log:
        environment = {**os.environ, "TANGO_HOST": production.tango_host}
        process = subprocess.Popen(words, stdout=log, stderr=log, env=environment)
    try:
        wait_for(lambda: server_answers(production.tango_host, f"Starter/{machine}"), 30.0, "the Starter answers")
        yield tango.DeviceProxy(f"tango://{production.tango_host}/{name}")
    finally:
        end(process)
        database.delete_server(f"Starter/{machine}")


def test_the_starter_runs_the_servers_and_knows_them(production: DataBaseds, tmp_path: Path) -> None:
    site, state = write_site(tmp_path / "site"), tmp_path / "var"
    folder, units, host = tmp_path / "starter", tmp_path / "units", production.tango_host
    place = ["--state-dir", state, "--port-offset", free_offset(), "--tango-host", host]
    assert command("register", site, *place).returncode == 0
    with running_starter(production, folder) as starter:
        done = command("install-units", site, *place, "--folder", units, "--starter", folder)
        assert done.returncode == 0, done.stderr
        # Servers are the Starter's; the simulator and who notes the processes stay with systemd.
        assert sorted(path.name for path in units.iterdir()) == [
            "diptych-cold-ca_repeater.service", "diptych-cold-sim.cold.service",
            "diptych-cold.service", "diptych-cold.target",
        ]  # fmt: skip
        info = open_database(host).get_server_info("Diptych/mirror")
        assert (info.host, info.mode, info.level) == (socket.gethostname(), 1, 2)
        starter.command_inout("UpdateServersInfo")
        starter.command_inout("DevStart", "Diptych/cryocon")
        wait_for(lambda: server_answers(host, "Diptych/cryocon"), 60.0, "cryocon answers")

        def known_as(state: str) -> bool:  # name, state, whether it is controlled, level, instances
            rows: tuple[str, ...] = starter.read_attribute("Servers").value or ()
            return any(row.split("\t")[:4] == ["Diptych/cryocon", state, "1", "1"] for row in rows)

        wait_for(lambda: known_as("ON"), 60.0, "the Starter sees it run")
        starter.command_inout("DevStop", "Diptych/cryocon")
        wait_for(lambda: known_as("FAULT"), 60.0, "the Starter sees that it is stopped")
        starter.command_inout("DevStart", "Diptych/cryocon")
        wait_for(lambda: server_answers(host, "Diptych/cryocon"), 60.0, "cryocon answers again")
        # The Starter blocks signals in its threads, and what it starts inherits that.
        pid = open_database(host).get_device_info("dserver/Diptych/cryocon").pid
        os.kill(pid, signal.SIGTERM)
        wait_for(lambda: not psutil.pid_exists(pid), 30.0, "SIGTERM ends it")
    for server in ("Diptych/cryocon", "Diptych/mirror"):
        open_database(host).delete_server(server)


def test_units_need_an_account_that_there_is(tmp_path: Path) -> None:
    site = write_site(tmp_path / "site")
    refused = command(
        "install-units", site, "--state-dir", tmp_path / "var", "--folder", tmp_path, "--account", "nobody2"
    )
    assert refused.returncode == 1 and "account nobody2: there is none on this machine" in refused.stderr
    assert not list(tmp_path.glob("diptych*"))
