"""A whole facility as processes: what dies comes back, what stops leaves nothing."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import tango

from tests.facility.running import STAND_IN, Up, command, free_port, is_free, up, wait_for, write_facility

BACK_SECONDS = 20.0  # on a machine with nothing else to do it takes 2 s
STOP_SECONDS = 10.0


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    """Two heaters, started from a shell that belongs to another facility."""
    folder = tmp_path_factory.mktemp("bench")
    foreign = {
        "TANGO_HOST": "elsewhere.example:10000",
        "EPICS_CA_ADDR_LIST": "10.1.2.3",
        "EPICS_CAS_INTF_ADDR_LIST": "10.1.2.4",
    }
    facility = write_facility(folder, free_port(), ("heater", "cooler"))
    with up(facility, folder / "state", environment=foreign) as running:
        yield running


def device(running: Up, name: str) -> tango.DeviceProxy:
    return tango.DeviceProxy(f"tango://{running.record()['tango_host']}/test/{name}/1")


def answers(running: Up, name: str) -> bool:
    try:
        return bool(device(running, name).read_attribute("setpoint").value > 0.0)
    except tango.DevFailed:
        return False


def test_ready_is_one_line_with_the_endpoints_below(bench: Up) -> None:
    lines = bench.output.splitlines()
    ready = [line for line in lines if line.startswith("READY")]
    assert len(ready) == 1
    assert "2 servers, 2 devices" in ready[0]
    below = "\n".join(lines[lines.index(ready[0]) :])
    assert bench.record()["tango_host"] in below
    assert "test/heater/1" in below and "test/cooler/1" in below


@pytest.mark.parametrize("victim", ["heater", "database"])
def test_a_killed_process_is_back_by_itself(bench: Up, victim: str) -> None:
    before = bench.pid(victim)
    began = time.monotonic()
    os.kill(before, signal.SIGKILL)
    wait_for(lambda: bench.pid(victim) != before, BACK_SECONDS, f"{victim} is started again")
    wait_for(lambda: answers(bench, "heater"), BACK_SECONDS - (time.monotonic() - began), "the heater answers")
    assert psutil.pid_exists(bench.pid(victim))


def test_the_database_keeps_what_it_knew_when_it_is_killed(bench: Up) -> None:
    database = tango.Database(*bench.record()["tango_host"].split(":"))
    database.put_device_property("test/heater/1", {"calibrated": ["2026-03-01"]})
    before = bench.pid("database")
    os.kill(before, signal.SIGKILL)
    wait_for(lambda: bench.pid("database") != before, BACK_SECONDS, "the database is started again")
    wait_for(lambda: answers(bench, "heater"), BACK_SECONDS, "the heater answers")
    # The file decides about the properties of a device that it gives properties to: put again at the restart.
    assert list(database.get_device_property("test/heater/1", "room")["room"]) == ["B 12"]
    assert "SIGKILL" in bench.output and "damaged" not in bench.output


def test_nothing_of_the_shell_reaches_a_child(bench: Up) -> None:
    for name in ("heater", "database"):
        environment = psutil.Process(bench.pid(name)).environ()
        assert environment["TANGO_HOST"] == bench.record()["tango_host"]
        assert environment["EPICS_CA_ADDR_LIST"] == "127.0.0.1"
        assert "EPICS_CAS_INTF_ADDR_LIST" not in environment


def test_a_second_up_on_one_state_directory_names_the_first(bench: Up) -> None:
    facility = Path(bench.record()["facility"])
    second = command("up", facility, "--state-dir", bench.state_dir)
    assert second.returncode == 1
    assert f"facility of pid {bench.process.pid}" in second.stderr
    assert "--state-dir" in second.stderr and "Traceback" not in second.stderr


def test_a_port_in_use_names_the_port_its_holder_and_the_way_out(bench: Up, tmp_path: Path) -> None:
    port = int(bench.record()["tango_host"].split(":")[1])
    second = command("up", write_facility(tmp_path, port), "--state-dir", tmp_path / "state")
    assert second.returncode == 1
    assert f"port {port} (tango) is in use by pid {bench.pid('database')} (" in second.stderr
    assert "servers.facility.database" in second.stderr and "--port-offset" in second.stderr


def test_a_server_stops_and_starts_on_request(bench: Up) -> None:
    stopped = command("stop", "cooler", "--state-dir", bench.state_dir)
    assert stopped.returncode == 0, stopped.stderr
    assert not answers(bench, "cooler") and answers(bench, "heater")
    started = command("serve", "cooler", "--background", "--state-dir", bench.state_dir)
    assert started.returncode == 0, started.stderr
    assert answers(bench, "cooler")


@pytest.mark.long
def test_what_stop_prints_starts_a_server_or_a_simulator_again(tmp_path: Path) -> None:
    port = free_port()
    facility = write_facility(tmp_path, free_port(), simulators={"cold": {"kind": "cryocon", "port": port}})
    with up(facility, tmp_path / "mein Zustand ä") as running:
        for name in ("sim.cold", "heater"):
            stopped = command("stop", name, "--state-dir", running.state_dir)
            assert stopped.returncode == 0, stopped.stderr
            assert name not in running.record()["processes"]
            words = shlex.split(stopped.stdout.split("`")[1])
            assert words[-2:] == ["--state-dir", str(running.state_dir)]
            again = command(*words[1:])
            assert again.stdout == f"{name} runs again under the facility\n", again.stderr
        assert answers(running, "heater")
        wait_for(lambda: not is_free(port), 5.0, "the simulator listens again")


@pytest.mark.long
def test_doctor_names_a_server_that_hangs(bench: Up) -> None:
    pid = bench.pid("cooler")
    os.kill(pid, signal.SIGSTOP)
    try:
        told = command("doctor", "--state-dir", bench.state_dir).stdout
        assert f"cooler (pid {pid}) does not answer" in told
        assert "heater" not in told
        listed = command("ls", "--state-dir", bench.state_dir).stdout
        assert re.search("test/cooler/1 +no answer", listed) and re.search("test/heater/1 +ON", listed)
    finally:
        os.kill(pid, signal.SIGCONT)
    assert "cooler" not in command("doctor", "--state-dir", bench.state_dir).stdout


def test_a_server_that_runs_is_not_started_twice(bench: Up) -> None:
    second = command("serve", "heater", "--state-dir", bench.state_dir)
    assert second.returncode == 1
    assert f"heater runs already (pid {bench.pid('heater')})" in second.stderr


def test_every_socket_of_the_facility_is_on_loopback(bench: Up) -> None:
    addresses = {
        connection.laddr.ip
        for process in bench.family()
        for connection in process.net_connections("inet")
        if connection.status == psutil.CONN_LISTEN or connection.type == socket.SOCK_DGRAM
    }
    assert addresses == {"127.0.0.1"}


@pytest.mark.long
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_nothing_is_left_however_the_supervisor_ends(tmp_path: Path, number: signal.Signals) -> None:
    port = free_port()
    helper = {"heater": [*_heater(), "--helper"]}  # the server has a child process of its own
    with up(write_facility(tmp_path, port, programs=helper), tmp_path / "state") as running:
        assert len(running.family()) >= 4  # supervisor, database, heater, its helper
        if number == signal.SIGINT:  # as Ctrl-C in a terminal: to the whole foreground process group
            os.killpg(running.process.pid, number)
        else:
            running.process.send_signal(number)
        code = running.process.wait(STOP_SECONDS)
        wait_for(lambda: not running.family(), STOP_SECONDS, f"no process is left, not {running.family()}")
        assert code == (-signal.SIGKILL if number == signal.SIGKILL else 0)
        assert is_free(port)
        assert "Traceback" not in running.output


@pytest.mark.long
def test_a_server_that_ignores_the_stop_is_killed_in_time(tmp_path: Path) -> None:
    with up(write_facility(tmp_path, free_port()), tmp_path / "state") as running:
        device(running, "heater").hang_at_stop()
        began = time.monotonic()
        running.process.send_signal(signal.SIGTERM)
        running.process.wait(STOP_SECONDS + 5.0)
        assert time.monotonic() - began < STOP_SECONDS
        assert not running.family()


@pytest.mark.long
def test_a_facility_starts_again_after_it_was_killed(tmp_path: Path) -> None:
    facility = write_facility(tmp_path, free_port())
    with up(facility, tmp_path / "state") as running:
        running.process.kill()
        running.process.wait(5.0)
        wait_for(lambda: not running.family(), STOP_SECONDS, "the first one is gone")
    with up(facility, tmp_path / "state") as running:
        assert answers(running, "heater")


@pytest.mark.long
def test_on_a_full_disk_the_others_go_on_and_all_is_well_once_there_is_room(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    try:
        mount = ["mount", "-t", "tmpfs", "-o", "size=2m", "small", str(disk)]
        subprocess.run(mount, check=True, capture_output=True, text=True, timeout=10.0)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"a small disk cannot be made here: {getattr(error, 'stderr', '') or error}")
    try:
        with up(write_facility(tmp_path, free_port(), ("heater", "cooler")), disk / "state") as running:
            first, cooler = running.pid("heater"), device(running, "cooler")
            with contextlib.suppress(OSError), (disk / "filler").open("wb", buffering=0) as filler:
                while filler.write(bytes(4096)) == 4096:
                    pass
            os.kill(first, signal.SIGKILL)
            wait_for(lambda: "No space left on device" in running.output, BACK_SECONDS, "it says so")
            assert cooler.setpoint == 21.5
            (disk / "filler").unlink()  # without room the database takes no new address of a server
            wait_for(lambda: answers(running, "heater"), 4 * BACK_SECONDS, "the heater is back")
            wait_for(lambda: running.pid("heater") != first, 15.0, "what runs is on record again")
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=False, capture_output=True, timeout=10.0)


@pytest.mark.long
def test_two_facilities_run_side_by_side_with_a_port_offset(bench: Up, tmp_path: Path) -> None:
    first_port = int(bench.record()["tango_host"].split(":")[1])
    facility = write_facility(tmp_path, first_port, ("heater",))
    offset = next(offset for offset in range(100, 2000, 100) if is_free(first_port + offset))
    with up(facility, tmp_path / "state", "--port-offset", str(offset)) as second:
        assert second.record()["tango_host"] == f"127.0.0.1:{first_port + offset}"
        device(second, "heater").setpoint = 44.0
        assert device(second, "heater").setpoint == 44.0
        assert device(bench, "heater").setpoint == 21.5


def test_a_facility_can_use_a_database_that_exists(bench: Up, tmp_path: Path) -> None:
    tango_host = bench.record()["tango_host"]
    facility = write_facility(tmp_path, free_port(), ("guest",))
    with up(facility, tmp_path / "state", "--tango-host", tango_host) as guest:
        assert guest.record()["tango_host"] == tango_host
        assert "database" not in guest.record()["processes"]
        assert "+ device test/guest/1: class StandIn in server Diptych/guest" in guest.output
        assert answers(bench, "guest") and answers(bench, "heater")
    assert not answers(bench, "guest") and answers(bench, "heater")


@pytest.mark.long
def test_a_damaged_database_is_set_aside_and_everybody_signs_on_again(tmp_path: Path) -> None:
    facility = write_facility(tmp_path, free_port())
    with up(facility, tmp_path / "state") as running:
        path = tmp_path / "state" / "tango.db"
        before = running.pid("database")
        for name in (path, path.with_name("tango.db-wal")):
            name.write_bytes(b"this is not a database" * 400)
        os.kill(before, signal.SIGKILL)
        wait_for(lambda: running.pid("database") != before, BACK_SECONDS, "the database is started again")
        wait_for(lambda: answers(running, "heater"), 2 * BACK_SECONDS, "the heater answers")
        assert list(tmp_path.glob("state/tango.db.damaged-*"))
        assert "was moved to tango.db.damaged-" in (tmp_path / "state/log/database.log").read_text()


def test_a_server_that_cannot_start_is_named_with_its_reason(tmp_path: Path) -> None:
    facility = write_facility(tmp_path, free_port(), programs={"heater": [*_heater(), "--fail"]})
    running = Up(facility, tmp_path / "state")
    try:
        wait_for(lambda: running.output.count("the heater is upside down") > 2, 30.0, "it is tried again, and told")
        assert not any(line.startswith("READY") for line in running.output.splitlines())
    finally:
        running.end()


@pytest.mark.long
def test_ready_waits_until_the_pvs_answer_on_epics(tmp_path: Path) -> None:
    ports = {"tango": free_port(), "ca": free_port(), "ca_repeater": free_port(), "pva": free_port()}
    mirror = [sys.executable, str(STAND_IN.with_name("stand_in_mirror.py")), "HEAT1:State"]
    facility = write_facility(
        tmp_path,
        ports["tango"],
        ("heater", "mirror"),
        ports=ports,
        mirrors=["mirror"],
        programs={"mirror": [*mirror, str(tmp_path / "open"), "@port.pva"]},
    )
    document = json.loads(facility.read_text())
    document["servers"]["Diptych"]["heater"]["StandIn"]["test/heater/1"]["properties"]["pv_prefix"] = ["HEAT1:"]
    document["servers"]["Diptych"]["mirror"] = {"EpicsMirror": {"test/mirror/1": {"properties": {}}}}
    facility.write_text(json.dumps(document))
    running = Up(facility, tmp_path / "state")
    try:
        wait_for(lambda: "waiting for HEAT1:State, PVAccess on" in running.output, 25.0, "it tells what is missing")
        assert not any(line.startswith("READY") for line in running.output.splitlines())
        (tmp_path / "open").touch()
        running.wait_ready()
        ready = next(line for line in running.output.splitlines() if line.startswith("READY"))
        assert f"127.0.0.1:{ports['ca']}" in running.output.split(ready)[1]
        repeater = psutil.Process(running.pid("ca_repeater"))
        assert [each.laddr for each in repeater.net_connections()] == [("127.0.0.1", ports["ca_repeater"])]
    finally:
        running.end()


def _heater() -> list[str]:
    return [sys.executable, str(STAND_IN), "heater"]
