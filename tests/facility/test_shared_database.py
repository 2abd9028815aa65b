"""A Tango database that several facilities share: nobody takes another's server or setting, and everybody can leave."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from servers.facility.readiness import database_answers
from servers.facility.tango_database import open_database
from tests.facility.running import Up, command, free_port, up, wait_for, write_facility


@pytest.fixture(scope="module")
def tango_host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A database that belongs to no facility."""
    port, folder = free_port(), tmp_path_factory.mktemp("database")
    words = ["-m", "servers.facility.database", "--port", str(port), "--state-dir", str(folder)]
    with (folder / "output").open("w") as output:
        process = subprocess.Popen([sys.executable, "-P", *words], stdout=output, stderr=subprocess.STDOUT)
    try:
        wait_for(lambda: database_answers(f"127.0.0.1:{port}"), 20.0, "the database answers")
        yield f"127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(10.0)


@pytest.fixture(scope="module")
def lab(tango_host: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    """A facility with the servers heater and cooler, in room B 12."""
    folder = tmp_path_factory.mktemp("lab")
    file = write_facility(folder, free_port(), ["heater", "cooler"])
    with up(file, folder / "var", "--tango-host", tango_host) as running:
        yield running


def test_a_facility_with_a_server_that_runs_already_is_refused_and_changes_nothing(
    lab: Up, tango_host: str, tmp_path: Path
) -> None:
    file = write_facility(tmp_path, free_port(), ["pump", "heater"])
    file.write_text(file.read_text().replace("B 12", "C 3"))
    answer = command("up", file, "--tango-host", tango_host, "--state-dir", tmp_path / "var")
    assert answer.returncode == 1
    assert answer.stderr.splitlines() == [
        f"error: the Tango database at {tango_host} has these servers running already: heater; end them where they "
        "run, or give those of bench.json other names; nothing was changed"
    ]
    database = open_database(tango_host)
    assert list(database.get_device_property("test/heater/1", "room")["room"]) == ["B 12"]
    assert list(database.get_server_list("Diptych/pump")) == []


def test_a_server_that_runs_already_is_not_served_again(lab: Up, tango_host: str, tmp_path: Path) -> None:
    words = ["serve", "cooler", "--facility", lab.state_dir.parent / "bench.json", "--tango-host", tango_host]
    for option in ((), ("--background",)):
        answer = command(*words, *option, "--state-dir", tmp_path / "var")
        assert answer.returncode == 1
        assert f"cooler runs already with the Tango database at {tango_host}" in answer.stderr


@pytest.mark.long
def test_facilities_of_other_names_run_side_by_side_and_leave(lab: Up, tango_host: str, tmp_path: Path) -> None:
    file = write_facility(tmp_path, free_port(), ["pump"])
    place = ["--tango-host", tango_host, "--state-dir", tmp_path / "var"]
    with up(file, tmp_path / "var", "--tango-host", tango_host):
        listed = command("ls", "--tango-host", tango_host).stdout
        assert all(f"test/{name}/1" in listed for name in ("heater", "cooler", "pump"))
        refused = command("register", file, "--remove", *place)
        assert refused.returncode == 1
        assert "these servers of bench.json run: pump; stop them first" in refused.stderr
    shown = command("register", file, "--remove", "--dry-run", *place).stdout.splitlines()
    assert shown[:2] == ["- device test/pump/1: class StandIn in server Diptych/pump", "- server Diptych/pump"]
    assert "2 changes made" in command("register", file, "--remove", *place).stdout
    assert "has no server of" in command("register", file, "--remove", *place).stdout
    database = open_database(tango_host)
    assert list(database.get_device_property_list("test/pump/1", "*")) == []
    assert sorted(database.get_server_list("Diptych/*")) == ["Diptych/cooler", "Diptych/heater"]


def test_doctor_names_a_database_that_does_not_answer(tmp_path: Path) -> None:
    host = f"127.0.0.1:{free_port()}"
    answer = command("doctor", "--tango-host", host, "--state-dir", tmp_path)
    assert answer.returncode == 1
    assert f"no Tango database answers at {host}: restart it where it runs" in answer.stdout
